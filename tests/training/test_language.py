import lzma
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import CheckpointError, ConfigError
from asr.lm.recurrent import RecurrentLM, RecurrentLMConfig, load_language_model
from asr.lm.sentences import Sentences
from asr.model.units import SubwordUnits, save_units
from asr.training.config import OptimiserConfig
from asr.training.language import LanguageProgress, LanguageRun, LanguageTraining, sentence_loss

LINES = [
    f"{who} {does} {what}"
    for who in ("a cat", "the dog", "he", "my friend")
    for does in ("eats", "sees", "meets")
    for what in ("it", "us", "a dog")
]


@pytest.fixture
def config(tmp_path: Path) -> LanguageTraining:
    with lzma.open(tmp_path / "text.xz", "wt") as file:
        file.write("\n".join(LINES * 5))
    save_units(SubwordUnits.train(LINES, 40), tmp_path, "subword")
    return LanguageTraining(
        texts=[tmp_path / "text.xz"],
        units=tmp_path,
        model=RecurrentLMConfig(embedding=8, hidden=12, dropout=0.2),
        optimiser=OptimiserConfig(rate=0.02, warmup_steps=3, total_steps=10, decay_steps=3, average=0.9),
        tokens=120,
        longest=60,
        pool=32,
        held_out=5,
    )


def test_ten_steps_are_five_then_saved_loaded_and_five_more(config: LanguageTraining, tmp_path: Path) -> None:
    straight = LanguageRun(config, tmp_path / "straight")
    losses = [straight.advance().loss for _ in range(10)]
    first = LanguageRun(config, tmp_path / "cut")
    begun = [first.advance().loss for _ in range(5)]
    first.save()
    torch.rand(7)
    second = LanguageRun(config, tmp_path / "cut")
    assert begun + [second.advance().loss for _ in range(5)] == losses
    for name, x in straight.state.average.state_dict().items():
        assert torch.equal(x, second.state.average.state_dict()[name]), name
    assert second.state.trained_tokens == straight.state.trained_tokens


def test_a_pool_made_ahead_is_the_pool_made_when_it_is_needed(config: LanguageTraining, tmp_path: Path) -> None:
    run = LanguageRun(replace(config, pool=7), tmp_path / "run")
    fresh = LanguageRun(replace(config, pool=7), tmp_path / "fresh")
    drawn: dict[tuple[int, int], list[list[list[int]]]] = {}
    while run.state.epoch < 3:
        batch = run._next_batch()
        drawn.setdefault((run.state.epoch, run.state.pool), []).append(batch)
    assert len(drawn) > 9
    del drawn[3, 0]  # only begun
    assert drawn == {place: fresh._make_batches(*place) for place in sorted(drawn, reverse=True)}


def test_a_loss_is_computed_where_the_weights_are() -> None:
    model = RecurrentLM(RecurrentLMConfig(embedding=8, hidden=12), 10).to("meta")
    loss = sentence_loss(model, [[1, 2, 0], [3, 0]])
    assert loss.device == model.device == torch.device("meta")
    state, hidden = model.step(model.start(2), torch.zeros(2, 3, dtype=torch.long, device="meta"))
    assert {x.device for layer in state for x in (*layer, hidden)} == {model.device}


def test_text_that_the_units_cannot_write_is_an_error_and_not_a_run_without_an_end(
    config: LanguageTraining, tmp_path: Path
) -> None:
    (tmp_path / "loud.txt").write_text("A CAT EATS IT\n" * 20)
    with pytest.raises(ConfigError, match="can write"):
        LanguageRun(replace(config, texts=[tmp_path / "loud.txt"]), tmp_path / "run")


def test_a_run_learns_and_leaves_a_model_and_a_log(config: LanguageTraining, tmp_path: Path) -> None:
    longer = OptimiserConfig(rate=0.02, warmup_steps=3, total_steps=60, decay_steps=20, average=0.9)
    said: list[LanguageProgress] = []
    run = LanguageRun(replace(config, optimiser=longer, evaluate_every=5, save_every=5, keep=1), tmp_path / "run")
    run.run(said.append)
    measured = [x.perplexity for x in said if x.perplexity is not None]
    assert len(measured) == 12
    assert measured[-1] < measured[0] / 2
    assert load_language_model(tmp_path / "run" / "last.safetensors").score(["a cat eats it"]).isfinite().all()
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 60
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == ["step-60"]


def test_held_out_sentences_are_never_trained_on(config: LanguageTraining, tmp_path: Path) -> None:
    run = LanguageRun(config, tmp_path / "run")
    learned = {run.sentences[i] for i in run.learned}
    held = {run.sentences[i] for i in run.held}
    assert learned and held and not learned & held  # noqa: PT018
    seen: set[str] = set()
    for _ in range(40):
        seen |= {run.units.decode(ids[:-1]) for ids in run._next_batch()}
    assert run.state.epoch > 0
    assert seen == learned


def test_sentences_come_back_as_they_were_without_the_empty_ones() -> None:
    sentences = Sentences([" one two \n", "\n", "größe\n", "three"])
    assert list(sentences) == ["one two", "größe", "three"]
    assert sentences.split(0)[1].size == 0


def test_bf16_learns_what_fp32_learns(config: LanguageTraining, tmp_path: Path) -> None:
    losses = {}
    for precision in ("fp32", "bf16"):
        run = LanguageRun(replace(config, precision=precision), tmp_path / precision)
        losses[precision] = [run.advance().loss for _ in range(8)]
    assert losses["bf16"] != losses["fp32"]
    assert losses["bf16"] == pytest.approx(losses["fp32"], rel=0.02)


def test_bad_settings_and_a_damaged_state_are_named(config: LanguageTraining, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="longest sentence"):
        replace(config, tokens=10)
    with pytest.raises(ConfigError, match="at least one text"):
        replace(config, texts=[])
    with pytest.raises(ConfigError, match="bf16 or fp32, got 'fp16'"):
        replace(config, precision="fp16")
    run = LanguageRun(config, tmp_path / "run")
    run.advance()
    run.save()
    (tmp_path / "run" / "step-1" / "state.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="cannot be resumed"):
        LanguageRun(config, tmp_path / "run")
