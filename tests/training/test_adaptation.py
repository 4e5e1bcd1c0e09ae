import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from asr.errors import ConfigError, ManifestError
from asr.evaluation.answers import Answer
from asr.evaluation.compare import compare
from asr.evaluation.datasets import Dataset, Problem, Reference, read_datasets
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.result import Result
from asr.features.spectral import FeatureConfig
from asr.model.bundle import Bundle, load_bundle, save_bundle
from asr.training.adaptation import AdaptConfig, held_out, prepare, share_of
from pipelines.adapt_command import OWN, Work, _all, adapt, show
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


@pytest.mark.parametrize("odd", [0.0, -1.0, float("nan"), float("inf")])
def test_passes_and_rates_are_numbers_above_nothing(odd: float) -> None:
    for change in ({"passes": odd}, {"rate": odd}):
        with pytest.raises(ConfigError):
            AdaptConfig(**change)


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


def broken(reference: Reference, folder: Path) -> Reference:
    path = folder / "broken.wav"
    path.write_bytes(b"not sound")
    return replace(reference, audio=path)


def with_broken(names: set[str], folder: Path) -> list[Dataset]:
    (dataset,) = own()
    found = [broken(x, folder) if f"{dataset.name}/{x.id}" in names else x for x in dataset.references]
    return [replace(dataset, references=tuple(found))]


def test_what_cannot_be_heard_is_named_and_the_model_is_made_of_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, held = held_out(_all(own()), BRIEF, where="own")
    work = Work("tiny", tmp_path / "new", tmp_path / "run", "cpu", BRIEF)
    given = with_broken({train[0].id, held[0].id}, tmp_path)
    before, comparison = work.go(str(tiny_bundle(tmp_path / "tiny")), given, [], [])
    assert [(x.kind, x.id) for x in before.problems] == [("failed", train[0].id), ("failed", held[0].id)]
    said = capsys.readouterr().err
    assert said.index(held[0].id) < said.index("recordings held out"), "before the training"
    assert "| own, held out |" in load_bundle(work.out).card
    show(comparison)
    table, verdict = capsys.readouterr().out.splitlines()[1:]
    assert table.startswith("own, held out")
    assert verdict.startswith("own, held out: ")
    assert "nan" not in table


def test_where_nothing_held_out_can_be_heard_nothing_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Work, "_train", lambda *_: pytest.fail("should not be trained"))
    _, held = held_out(_all(own()), BRIEF, where="own")
    given = with_broken({x.id for x in held}, tmp_path)
    model = str(tiny_bundle(tmp_path / "tiny"))
    with pytest.raises(ManifestError, match="none of the 2 recordings can be heard"):
        Work("tiny", tmp_path / "new", tmp_path / "run", "cpu", BRIEF).go(model, given, [], [])


def test_recordings_that_could_not_be_used_make_the_status_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = [Result(name, (Answer("a", OWN, "one two", "one"),)) for name in ("before", "after")]
    before = replace(heard[0], problems=(Problem("failed", "b", "not sound"),))
    monkeypatch.setattr(Work, "go", lambda *_: (before, compare(*heard, choose_normaliser("basic"))))
    app = typer.Typer()
    app.command()(adapt)
    arguments = [str(AUDIO), "--out", str(tmp_path / "new"), "--run", str(tmp_path / "run")]
    done = CliRunner().invoke(app, arguments)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (1, str(tmp_path / "new"))
    assert "1 recordings could not be used" in done.stderr
    refused = CliRunner().invoke(app, [*arguments[:-1], str(AUDIO / "manifest.jsonl")])
    assert isinstance(refused.exception, ConfigError)
