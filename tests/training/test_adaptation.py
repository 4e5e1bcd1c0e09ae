import json
from pathlib import Path

import pytest

from asr.errors import ConfigError, ManifestError
from asr.evaluation.datasets import Dataset, Reference, read_datasets
from asr.features.spectral import FeatureConfig
from asr.model.bundle import Bundle, load_bundle, save_bundle
from asr.training.adaptation import AdaptConfig, held_out, prepare, share_of
from pipelines.adapt_command import Work
from tests.conftest import small_model, small_units

AUDIO = Path(__file__).parent.parent / "audio"
BRIEF = AdaptConfig(passes=0.1, least_steps=3, most_steps=3, held_share=0.25, batch_s=8.0)


def references(count: int) -> list[Reference]:
    return [Reference(f"r{i}", Path(f"{i}.wav"), "words", duration_s=3.0) for i in range(count)]


def own() -> list[Dataset]:
    return read_datasets(AUDIO)


def tiny_bundle(folder: Path) -> Path:
    save_bundle(Bundle(small_model(), FeatureConfig(), small_units(), card="# tiny\n"), folder)
    return folder


@pytest.mark.parametrize("count", [4, 5, 40, 5000])
def test_what_is_held_out_is_never_trained_on_and_is_the_same_each_time(count: int) -> None:
    config = AdaptConfig()
    train, held = held_out(references(count), config, where="own")
    assert {x.id for x in train}.isdisjoint(x.id for x in held)
    assert len(train) + len(held) == count
    assert 1 <= len(held) <= min(config.held_most, 0.25 * count)
    assert held_out(references(count), config, where="own") == (train, held)


def test_too_few_recordings_are_an_error_that_says_how_many_are_needed() -> None:
    with pytest.raises(ManifestError, match="at least 4 recordings, to train on some and test on others; got 3"):
        held_out(references(3), AdaptConfig(), where="own")


def test_a_share_lasts_about_as_long_as_asked_for() -> None:
    assert [len(share_of(references(10), seconds)) for seconds in (0.0, 3.0, 10.0, 1000.0)] == [0, 1, 4, 10]


def test_what_cannot_be_trained_on_is_named_with_its_reason_and_the_rest_is_used(tmp_path: Path) -> None:
    (dataset,) = own()
    good = dataset.references[0]
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"not sound")
    given = [
        good,
        Reference("b", broken, "words"),
        Reference("n", good.audio, "in 1984"),
        Reference("e", good.audio, "…"),
    ]
    made = prepare(given, tmp_path / "own", small_units().values(), AdaptConfig())
    assert [problem.id for problem in made.problems] == ["b", "n", "e"]
    assert "numbers spelled out" in made.problems[1].detail
    assert made.seconds == pytest.approx(json.loads(made.manifest.read_text())["duration"])


def test_adapting_writes_a_bundle_that_knows_what_it_is_worth_and_again_goes_on_from_where_it_was(
    tmp_path: Path,
) -> None:
    work = Work("tiny", tmp_path / "new", tmp_path / "run", "cpu", BRIEF)
    model = tiny_bundle(tmp_path / "tiny")
    before, comparison = work.go(str(model), own(), own(), [])
    assert set(comparison.sets) == {"own, held out", "general"}
    made = load_bundle(work.out)
    assert "| own, held out |" in made.card
    assert before.name == "before"
    assert made.metrics["steps"] == 3
    assert any((made.model.state_dict()[k] != v).any() for k, v in load_bundle(model).model.state_dict().items())
    work.go(str(model), own(), own(), [])
    again = load_bundle(work.out)
    assert all((again.model.state_dict()[k] == v).all() for k, v in made.model.state_dict().items())


def test_a_folder_with_another_run_is_refused(tmp_path: Path) -> None:
    model = str(tiny_bundle(tmp_path / "tiny"))
    Work("tiny", tmp_path / "new", tmp_path / "run", "cpu", BRIEF).go(model, own(), [], [])
    longer = AdaptConfig(passes=0.1, least_steps=4, most_steps=4, held_share=0.25, batch_s=8.0)
    with pytest.raises(ConfigError, match="other recordings or settings"):
        Work("tiny", tmp_path / "new", tmp_path / "run", "cpu", longer).go(model, own(), [], [])
