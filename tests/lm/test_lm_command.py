"""`asr lm` as people misuse it: said at once, nothing lost, nothing written where it should not be."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from asr.errors import AsrError, CheckpointError, ConfigError
from asr.model.units import SubwordUnits, save_units
from pipelines.lm_command import app
from tests.pipelines.test_outputs import refuse_to_replace


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(x) for x in arguments])
    if isinstance(result.exception, AsrError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def text(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_bytes(b"\xef\xbb\xbfthe cat sat\r\non the mat\r\n")
    return path


def test_a_text_is_never_written_over_and_places_are_tried_before_the_counting(text: Path, tmp_path: Path) -> None:
    for place, what in ((text, "it is read"), (tmp_path, "a folder"), (text / "below", "cannot be written")):
        with pytest.raises(ConfigError, match=what):
            run("build", text, "--out", place)
    with pytest.raises(ConfigError, match="no such file"):
        run("build", text, "--out", tmp_path / "lm.arpa", "--words", tmp_path / "gone.txt")
    assert text.read_bytes().startswith(b"\xef\xbb\xbfthe cat")


def test_a_model_that_cannot_be_written_any_more_is_kept_elsewhere(
    text: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_replace(monkeypatch, tmp_path / "lm.arpa")
    code, _, err = run("build", text, "--out", tmp_path / "lm.arpa", "--order", 2)
    kept = Path(err.partition(" is in ")[2].splitlines()[0])
    assert (code, kept.name) == (1, "lm.arpa")
    assert json.loads(run("perplexity", kept, text, "--json")[1])["words"] == 6


def test_a_model_with_a_mark_before_it_is_read_and_one_with_nan_is_refused(text: Path, tmp_path: Path) -> None:
    run("build", text, "--out", tmp_path / "lm.arpa", "--order", 1)
    arpa = (tmp_path / "lm.arpa").read_text(encoding="utf-8")
    (tmp_path / "marked.arpa").write_text("\ufeff" + arpa.replace("\n", "\r\n"), encoding="utf-8", newline="")
    assert run("perplexity", tmp_path / "marked.arpa", text) == run("perplexity", tmp_path / "lm.arpa", text)
    row = next(line for line in arpa.splitlines() if "\tcat" in line)
    (tmp_path / "odd.arpa").write_text(arpa.replace(row, "nan\tcat"), encoding="utf-8")
    for bad in (tmp_path / "odd.arpa", text, tmp_path / "gone.arpa", tmp_path):
        with pytest.raises(CheckpointError):
            run("perplexity", bad, text)


def test_a_packed_model_has_the_ending_that_tells_its_kind(text: Path, tmp_path: Path) -> None:
    run("build", text, "--out", tmp_path / "lm.arpa", "--order", 2)
    with pytest.raises(ConfigError, match="another ending"):
        run("pack", tmp_path / "lm.arpa", "--out", tmp_path / "lm.safetensors")
    assert run("pack", tmp_path / "lm.arpa", "--out", tmp_path / "lm.npz")[0] == 0


def test_training_runs_on_a_device_that_this_machine_has(text: Path, tmp_path: Path) -> None:
    save_units(SubwordUnits.train(["the cat sat", "on the mat"], 20), tmp_path, "subword")
    config = tmp_path / "lm.yaml"
    config.write_text(
        f"texts: [{text.name}]\nunits: .\nheld_out: 0\nmodel: {{embedding: 4, hidden: 4}}\n"
        "optimiser: {total_steps: 2, warmup_steps: 1, decay_steps: 1}\n"
    )
    with pytest.raises(ConfigError, match="auto, cpu, cuda or mps, got 'gpu'"):
        run("train", "--config", config, "--run", tmp_path / "run", "--device", "gpu")
    code, out, err = run("train", "--config", config, "--run", tmp_path / "run", "--device", "cpu", "--threads", 1)
    assert (code, out.strip()) == (0, str(tmp_path / "run" / "last.safetensors")), err
