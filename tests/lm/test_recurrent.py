import itertools
from dataclasses import replace
from pathlib import Path
from typing import get_args

import pytest
import torch
from typer.testing import CliRunner

from asr.decoding.hypotheses import HeardWord, Hypothesis
from asr.decoding.rescoring import rescore_by
from asr.errors import CheckpointError, ConfigError
from asr.lm.perplexity import recurrent_perplexity
from asr.lm.prefixes import PrefixTree
from asr.lm.recurrent import (
    LanguageModel,
    RecurrentLM,
    RecurrentLMConfig,
    load_language_model,
    save_language_model,
)
from asr.lm.sampling import sample
from asr.model.recurrent import Cell
from asr.model.units import SubwordUnits
from pipelines.command import app

TEXT = ["the cat sat on the mat", "the dog sat", "a cat", "the cat ran", "on and on the dog ran"] * 20
UNITS = SubwordUnits.train(TEXT, 30)
SMALL = RecurrentLMConfig(embedding=8, hidden=12, layers=2)


def model_of(cell: Cell = "lstm") -> LanguageModel:
    return LanguageModel(RecurrentLM(replace(SMALL, cell=cell), len(UNITS.tokens)).eval(), UNITS)


@pytest.mark.parametrize("cell", get_args(Cell))
def test_texts_with_common_beginnings_score_as_each_does_alone(cell: Cell) -> None:
    model, texts = model_of(cell), [*dict.fromkeys(TEXT), "", "the"]
    expected = []
    for text in texts:
        ids = model.encode(text)
        assert ids is not None
        log_probs = model.network(torch.tensor([[0, *ids[:-1]]]), torch.tensor([len(ids)]))
        expected.append(log_probs[0, range(len(ids)), ids].sum())
    torch.testing.assert_close(model.score(texts), torch.stack(expected))


def test_each_common_beginning_is_computed_once() -> None:
    tree = PrefixTree.of([[5, 6, 3, 0], [5, 6, 3, 7, 0], [5, 8, 0], [0]])
    assert [level.tokens.tolist() for level in tree.levels] == [[[0, 5]], [[6], [8]], [[3, 7]]]
    assert [level.parents.tolist() for level in tree.levels] == [[0], [0, 0], [0]]
    assert [places.tolist() for places, _ in tree.paths] == [[0, 1, 2, 4], [0, 1, 2, 4, 5], [0, 1, 3], [0]]


def test_all_sentences_of_a_closed_language_sum_to_one() -> None:
    units = SubwordUnits.train(["a"] * 10, 3)
    model = LanguageModel(RecurrentLM(SMALL, len(units.tokens)).eval(), units)
    with torch.no_grad():
        model.network.bias[0] += 3  # sentences end soon
    sequences = [ids for n in range(7) for ids in itertools.product(range(1, len(units.tokens)), repeat=n)]
    total = 0.0
    for ids in sequences:
        log_probs = model.network(torch.tensor([[0, *ids]]), torch.tensor([len(ids) + 1])).detach()
        total += float(log_probs[0, range(len(ids) + 1), [*ids, 0]].sum().exp())
    assert 0.99 < total < 1 + 1e-4


def test_steps_go_on_where_others_stopped_and_do_not_write_the_given_state() -> None:
    network, tokens = model_of().network, torch.randint(1, len(UNITS.tokens), (3, 9))
    _, whole = network.step(network.start(3), tokens)
    state, first = network.step(network.start(3), tokens[:, :4])
    kept = [part.clone() for layer in state for part in layer]
    _, second = network.step(state, tokens[:, 4:])
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    assert all(torch.equal(a, b) for a, b in zip(kept, [part for layer in state for part in layer], strict=True))


def test_eight_bits_on_disk_and_in_use_change_scores_little(tmp_path: Path) -> None:
    model, texts = model_of(), list(dict.fromkeys(TEXT))
    save_language_model(model, tmp_path / "lm.safetensors", storage="int8")
    loaded = load_language_model(tmp_path / "lm.safetensors")
    assert loaded.units.tokens == UNITS.tokens
    torch.testing.assert_close(loaded.score(texts), model.score(texts), rtol=0.01, atol=0.05)
    torch.testing.assert_close(loaded.quantised().score(texts), model.score(texts), rtol=0.02, atol=0.1)
    save_language_model(model, tmp_path / "whole.safetensors")
    packed = ["lm", "pack", str(tmp_path / "whole.safetensors"), "--out", str(tmp_path / "packed.safetensors")]
    assert CliRunner().invoke(app, packed).exit_code == 0
    assert (tmp_path / "packed.safetensors").read_bytes() == (tmp_path / "lm.safetensors").read_bytes()
    (tmp_path / "lm.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="recurrent language model"):
        load_language_model(tmp_path / "lm.safetensors")


def test_perplexity_is_a_words_and_counts_what_cannot_be_written() -> None:
    model = model_of()
    with torch.no_grad():
        for x in model.network.parameters():
            x.zero_()
    found = recurrent_perplexity(model, ["the cat", "the größe", "", "a  cat"])
    tokens = sum(len(model.encode(text) or ()) for text in ("the cat", "a cat"))
    assert (found.sentences, found.words, found.left_out) == (2, 4, 1)
    assert found.including_unknown == pytest.approx(len(UNITS.tokens) ** (tokens / 6))
    with pytest.raises(ConfigError, match="subwords can write"):
        recurrent_perplexity(model, ["ß"])


def test_it_writes_text_that_begins_as_it_is_told_and_is_the_same_for_the_same_seed() -> None:
    model = model_of()
    written = sample(model, count=3, beginning="the cat", seed=1)
    assert all(text.startswith("the cat") for text in written)
    assert written == sample(model, count=3, beginning="the cat", seed=1)
    assert written != sample(model, count=3, beginning="the cat", seed=2)
    with pytest.raises(ConfigError, match="temperature"):
        sample(model, count=1, temperature=0)


def test_the_recurrent_model_has_its_say_on_the_best_readings() -> None:
    model = model_of()
    texts = ["the cat", "a cat", "xyz"]
    scores = model.score(texts)
    assert scores[2] == -torch.inf
    gap = float(scores[0] - scores[1])
    hypotheses = [Hypothesis(tuple(HeardWord(word, 0, 1, 0.5) for word in text.split()), 0.0) for text in texts]
    judged = {x.text: x.score for x in rescore_by(model.score, hypotheses, 0.5)}
    assert judged["the cat"] - judged["a cat"] == pytest.approx(0.5 * gap, abs=1e-4)
    assert judged["xyz"] == min(judged.values())
    assert rescore_by(model.score, hypotheses, 0.0) == hypotheses


def test_readings_far_behind_are_not_asked_about_and_cannot_win() -> None:
    model = model_of()
    likely, unlikely = sorted(["the cat", "a cat"], key=lambda text: -float(model.score([text])[0]))
    hypotheses = [Hypothesis((HeardWord(unlikely, 0, 1, 0.5),), 0.0), Hypothesis((HeardWord(likely, 0, 1, 0.5),), -3.0)]
    for margin, winner in [(4.0, likely), (2.0, unlikely)]:
        assert rescore_by(model.score, hypotheses, 1000.0, margin)[0].text == winner


def test_sentences_encode_together_as_each_does_alone() -> None:
    texts = ["the cat sat", "", "THE CAT", "a dog ran on"]
    assert UNITS.encode_all(texts, threads=2) == [UNITS.encode(text) for text in texts]
    assert UNITS.encode_all([]) == []
