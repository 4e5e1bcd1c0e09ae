import errno
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from asr.data.batches import BatchConfig, ClipStore, gather_examples, plan_epoch, read_training_audio
from asr.data.manifest import Example, read_manifest
from asr.errors import AsrError, AudioError, CheckpointError, ConfigError, ManifestError
from asr.model.acoustic import Encoded
from asr.model.bundle import load_bundle
from asr.training.config import DataConfig, OptimiserConfig, TrainingConfig
from asr.training.failures import MOST_IN_A_ROW
from asr.training.loop import Progress, TrainingRun
from asr.training.loss import ctc_losses, total_loss
from asr.training.state import newest_state
from asr.training.windowed import WindowedConfig
from tests.conftest import small_config

TEXTS = ["yes", "no", "go", "a cat", "the dog", "stop it"]


def tone_manifest(folder: Path) -> Path:
    """Each text as a chord of its own: enough for a model to tell them apart."""
    t = np.arange(12_800) / 16_000
    lines = []
    for i, text in enumerate(TEXTS):
        samples = 0.3 * np.sin(2 * np.pi * (200 + 150 * i) * t) + 0.2 * np.sin(2 * np.pi * (1000 + 400 * i) * t)
        soundfile.write(folder / f"{i}.wav", samples, 16_000)
        lines.append(f'{{"audio_filepath": "{i}.wav", "duration": 0.8, "text": "{text}"}}\n')
    (folder / "manifest.jsonl").write_text("".join(lines))
    return folder / "manifest.jsonl"


def small_training(
    manifest: Path,
    *,
    cell: str = "lstm",
    dropout: float = 0.1,
    workers: int = 0,
    windowed: WindowedConfig | None = None,
    initial: Path | None = None,
    consistency: float = 0.0,
) -> TrainingConfig:
    return TrainingConfig(
        windowed=windowed,
        consistency=consistency,
        initial=initial,
        data=DataConfig(train={manifest: 1.5}, workers=workers, batches=BatchConfig(seconds=3.0)),
        model=small_config(cell=cell, dropout=dropout),
        optimiser=OptimiserConfig(rate=0.01, warmup_steps=3, total_steps=10, decay_steps=3),
        precision="fp32",
    )


@pytest.mark.parametrize(
    ("workers", "windowed", "consistency"), [(0, None, 0.0), (1, None, 0.2), (0, WindowedConfig(), 0.2)]
)
def test_ten_steps_are_five_then_saved_loaded_and_five_more(
    tmp_path: Path, workers: int, windowed: WindowedConfig | None, consistency: float
) -> None:
    config = small_training(tone_manifest(tmp_path), workers=workers, windowed=windowed, consistency=consistency)
    assert_ten_steps_are_five_and_five(config, tmp_path)


def assert_ten_steps_are_five_and_five(config: TrainingConfig, folder: Path) -> None:
    straight = TrainingRun(config, folder / "straight")
    losses = [straight.advance().losses for _ in range(10)]

    first = TrainingRun(config, folder / "cut")
    begun = [first.advance().losses for _ in range(5)]
    first.save()
    torch.rand(7)  # whatever else a process does with the random numbers in between
    second = TrainingRun(config, folder / "cut")
    ended = [second.advance().losses for _ in range(5)]

    assert begun + ended == losses
    for name, x in straight.state.model.state_dict().items():
        assert torch.equal(x, second.state.model.state_dict()[name]), name
    for name, x in straight.state.average.state_dict().items():
        assert torch.equal(x, second.state.average.state_dict()[name]), name


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
def test_each_cell_learns(tmp_path: Path, cell: str) -> None:
    run = TrainingRun(small_training(tone_manifest(tmp_path), cell=cell, dropout=0.0), tmp_path / "run")
    losses = [run.advance().losses["character"] for _ in range(10)]
    assert losses[-1] < 0.7 * losses[0]


def test_a_run_leaves_the_last_and_the_best_bundle_and_a_log(tmp_path: Path) -> None:
    manifest = tone_manifest(tmp_path)
    config = small_training(manifest)
    config = TrainingConfig(
        data=DataConfig(train={manifest: 1.0}, dev=manifest, workers=0),
        model=config.model,
        optimiser=config.optimiser,
        evaluate_every=5,
        save_every=5,
        keep=1,
    )
    said: list[Progress] = []
    TrainingRun(config, tmp_path / "run").run(said.append)
    assert [progress.step for progress in said] == list(range(1, 11))
    assert [progress.dev_wer is not None for progress in said] == [False] * 4 + [True] + [False] * 4 + [True]
    assert load_bundle(tmp_path / "run" / "last").metrics["steps"] == 10
    assert load_bundle(tmp_path / "run" / "best").units["character"].encode("go")
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == 10
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == ["step-10"]


def test_a_damaged_state_is_an_error_and_not_a_fresh_start(tmp_path: Path) -> None:
    config = small_training(tone_manifest(tmp_path))
    run = TrainingRun(config, tmp_path / "run")
    run.advance()
    run.save()
    for name, content in (
        ("state.json", b"{}"),
        ("state.json", b"[]"),
        ("state.json", b'{"step": "1"}'),
        ("state.safetensors", b"nonsense"),
    ):
        (tmp_path / "run" / "step-1" / name).write_bytes(content)
        with pytest.raises(CheckpointError, match=r"cannot be resumed from.*take it away"):
            TrainingRun(config, tmp_path / "run")


def test_a_full_folder_is_an_error_that_leaves_the_state_before_and_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = small_training(tone_manifest(tmp_path))
    run = TrainingRun(config, tmp_path / "run")
    run.advance()
    run.save()

    def fail(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    run.advance()
    with pytest.raises(AsrError, match=r"step-2: cannot be written: .*No space left.*run again"):
        run.save()
    assert [path.name for path in (tmp_path / "run").iterdir() if "step" in path.name] == ["step-1"]
    assert TrainingRun(config, tmp_path / "run").state.step == 1


def test_what_is_not_learnt_from_is_counted_and_nothing_to_learn_from_is_an_error(tmp_path: Path) -> None:
    manifest = tone_manifest(tmp_path)
    run = TrainingRun(small_training(manifest), tmp_path / "run")
    assert run.coverage().sentences(run.config.data.batches) == []
    rows = [json.loads(line) for line in manifest.read_text().splitlines()]
    odd = [{"duration": 30.0}, {"duration": 0.1}, {"text": "Ä 7"}, {"text": "yes no go " * 9}]
    manifest.write_text("".join(json.dumps(row | change) + "\n" for row, change in zip(rows, odd, strict=False)))
    said = run.coverage().sentences(run.config.data.batches)
    assert said[0] == "of 4 recordings are left out: 1 longer than 20 s, 1 shorter than 0.4 s (data.batches)"
    assert said[1:3] == [
        "1 of 2 texts cannot be written in character units, such as 'Ä 7'",
        "1 of 2 texts have more character units than their recordings have room for",
    ]
    manifest.write_text("".join(json.dumps(row | {"text": "1984"}) + "\n" for row in rows))
    with pytest.raises(ConfigError, match=r"found none.*such as '1984'"):
        run.coverage()


def test_the_loss_is_ctc_over_labels_and_leaves_out_what_is_unknown() -> None:
    log_probs = torch.randn(2, 6, 5).log_softmax(-1)
    encoded = Encoded({"character": log_probs, "phoneme": log_probs}, torch.tensor([6, 5]))
    losses = ctc_losses(encoded, {"character": [[1, 2], [3]], "phoneme": [None, None]})
    assert list(losses) == ["character"]
    each = [
        torch.nn.functional.ctc_loss(log_probs[0, :6], torch.tensor([1, 2]), [6], [2], reduction="sum"),
        torch.nn.functional.ctc_loss(log_probs[1, :5], torch.tensor([3]), [5], [1], reduction="sum"),
    ]
    torch.testing.assert_close(losses["character"], (each[0] + each[1]) / 3)
    one = ctc_losses(encoded, {"character": [None, [3]], "phoneme": [None, None]})
    torch.testing.assert_close(one["character"], each[1])


def test_a_batch_of_unknown_texts_moves_nothing_and_stops_nothing() -> None:
    log_probs = torch.randn(2, 6, 5, requires_grad=True)
    encoded = Encoded({"character": log_probs.log_softmax(-1)}, torch.tensor([6, 5]))
    loss = total_loss(small_config(), ctc_losses(encoded, {"character": [None, None]}), encoded)
    loss.backward()
    assert loss.item() == 0.0
    assert log_probs.grad is not None
    assert not log_probs.grad.any()


def test_recordings_of_no_usable_length_are_an_error_and_not_a_run_without_an_end(tmp_path: Path) -> None:
    config = small_training(tone_manifest(tmp_path))
    short = replace(config, data=replace(config.data, batches=BatchConfig(seconds=3.0, shortest=5.0)))
    with pytest.raises(ConfigError, match="5 to"):
        TrainingRun(short, tmp_path / "run").advance()


def test_a_recording_that_is_not_there_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match=r"gone\.wav: .*no such file"):
        read_training_audio(tmp_path / "gone.wav")


def test_a_recording_with_values_that_are_no_numbers_is_named(tmp_path: Path) -> None:
    manifest = tone_manifest(tmp_path)
    soundfile.write(tmp_path / "3.wav", np.full(12_800, np.nan), 16_000, subtype="FLOAT")
    with pytest.raises(AudioError, match=r"3\.wav.*not finite"):
        TrainingRun(small_training(manifest), tmp_path / "run")


def test_a_run_that_has_diverged_ends_and_says_so(tmp_path: Path) -> None:
    run = TrainingRun(small_training(tone_manifest(tmp_path)), tmp_path / "run")
    with torch.no_grad():
        run.state.model.mean.fill_(torch.nan)
    for _ in range(MOST_IN_A_ROW):
        run.advance()
    with pytest.raises(ConfigError, match="diverged"):
        run.advance()


def test_noise_of_another_rate_or_with_two_channels_is_named(tmp_path: Path) -> None:
    for name, shape, rate in [("fast", (44_100,), 44_100), ("wide", (16_000, 2), 16_000)]:
        soundfile.write(tmp_path / f"{name}.wav", np.zeros(shape), rate)
        manifest = tmp_path / f"{name}.jsonl"
        manifest.write_text(f'{{"audio_filepath": "{name}.wav", "duration": 1.0}}\n')
        with pytest.raises(AudioError, match=f"{name}.*16 kHz mono"):
            ClipStore(manifest)[0]
    with pytest.raises(ManifestError, match="absent"):
        ClipStore(tmp_path / "absent.jsonl")
    (tmp_path / "broken.jsonl").write_text('{"duration": 1.0}\n')
    with pytest.raises(ManifestError, match="key 'audio_filepath'"):
        ClipStore(tmp_path / "broken.jsonl")


def test_an_epoch_holds_each_usable_example_once_in_batches_that_fit() -> None:
    durations = np.random.default_rng(0).uniform(0.2, 25, 500).tolist()
    examples = [Example(Path(f"{i}.wav"), duration, "x") for i, duration in enumerate(durations)]
    config = BatchConfig()
    plan = plan_epoch(examples, config, seed=1, epoch=1)
    usable = sorted(i for i, x in enumerate(examples) if config.shortest <= x.duration <= config.longest)
    assert sorted(i for batch in plan for i in batch) == usable
    assert all(max(durations[i] for i in batch) * len(batch) <= config.seconds for batch in plan)
    assert plan == plan_epoch(examples, config, seed=1, epoch=1) != plan_epoch(examples, config, seed=1, epoch=2)
    first = plan_epoch(examples, config, seed=1, epoch=0)
    assert max(durations[i] for batch in first for i in batch) <= config.first_epoch_longest


def test_a_manifest_counts_as_often_as_its_weight_says(tmp_path: Path) -> None:
    manifest = tone_manifest(tmp_path)
    gathered = [gather_examples([(manifest, 2.5)], seed=1, epoch=epoch) for epoch in range(4)]
    assert {len(examples) for examples in gathered} == {15}
    assert len({tuple(x.text for x in examples) for examples in gathered}) > 1


def test_the_rate_warms_up_stays_and_falls_to_nothing_or_to_its_last() -> None:
    config = OptimiserConfig(rate=1.0, warmup_steps=10, total_steps=100, decay_steps=20)
    rates = [config.rate_at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[10:80] == [1.0] * 70
    assert rates[80:] == sorted(rates[80:], reverse=True)
    assert rates[100] == 0
    above = replace(config, last_rate=0.5)
    assert [above.rate_at(step) for step in (50, 90, 100)] == pytest.approx([1.0, 0.75, 0.5])
    with pytest.raises(ConfigError, match="total_steps"):
        OptimiserConfig(total_steps=5)
    with pytest.raises(ConfigError, match="last_rate"):
        OptimiserConfig(rate=1e-3, last_rate=2e-3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ('{"audio_filepath": "a.wav"\n', r":1: expected a JSON object"),
        ('{"audio_filepath": "a.wav", "duration": 1}\n', r":1: expected the key 'text'"),
        ('{"audio_filepath": "a.wav", "duration": 1, "offset": 2, "text": ""}\n', ":1.*part of one"),
        (
            '{"audio_filepath": "a", "duration": 1, "text": ""}\n{"audio_filepath": "a", "duration": "?", "text": ""}',
            ":2",
        ),
    ],
)
def test_a_broken_manifest_is_named_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "m.jsonl").write_text(text)
    with pytest.raises(ManifestError, match=said):
        read_manifest(tmp_path / "m.jsonl")


def test_a_copy_that_somebody_put_beside_the_saved_steps_is_left_alone(tmp_path: Path) -> None:
    assert newest_state(tmp_path) is None
    for name in ("step-2", "step-10", "step-100-copy", "step-old"):
        (tmp_path / name).mkdir()
    assert newest_state(tmp_path) == tmp_path / "step-10"
