"""How every command ends."""

import subprocess
import sys
from pathlib import Path

import pytest

from asr.errors import AudioError, ConfigError
from pipelines import command
from tests.recordings import RECORDINGS

ROOT = Path(__file__).parent.parent.parent
ONE = str(RECORDINGS[0])
MODEL_TAKERS = [
    ["transcribe", ONE],
    ["live", "--input", ONE],
    ["evaluate", str(RECORDINGS[0].parent)],
    ["align", ONE, "--text", "words"],
    ["inspect", ONE, "--out", "picture.png"],
    ["adapt", str(RECORDINGS[0].parent), "--out", "new-model"],
]


def status_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> object:
    monkeypatch.setattr(sys, "argv", ["asr", *arguments])
    with pytest.raises(SystemExit) as ended:
        command.main()
    return ended.value.code


@pytest.mark.parametrize("arguments", MODEL_TAKERS, ids=lambda arguments: arguments[0])
def test_a_model_that_is_none_is_misuse(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for model, problem in (("nonsense", "the name of one in the package"), (str(tmp_path), "config.yaml is missing")):
        assert status_of(monkeypatch, *arguments, "--model", model) == 2
        assert problem in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ConfigError("--x", "expected y"), 2, "asr: --x: expected y\n"),
        (AudioError("a.wav", "is empty"), 1, "asr: a.wav: is empty\n"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_an_error_ends_with_a_sentence_and_its_status(
    error: BaseException,
    status: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(command, "app", fail)
    assert status_of(monkeypatch) == status
    assert capsys.readouterr().err == message


@pytest.mark.parametrize(("output", "error"), [(">/dev/full", "No space left on device"), (">&-", "")])
def test_a_standard_output_that_takes_nothing_ends_without_a_traceback(output: str, error: str, tmp_path: Path) -> None:
    (tmp_path / "dev.jsonl").write_text('{"audio_filepath": "dev.jsonl", "text": "a"}\n')
    (tmp_path / "h.txt").write_text("dev.jsonl a\n")
    code = "import pipelines.command as c; c.main()"
    given = f"'{sys.executable}' -c '{code}' evaluate dev.jsonl --hypotheses h.txt --json r.json {output}"
    done = subprocess.run(
        ["sh", "-c", given], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True
    )
    assert (done.returncode, "Traceback" in done.stderr) == (1 if error else 0, False)
    assert error in done.stderr
    assert (tmp_path / "r.json").is_file()


def test_a_stream_that_is_closed_gives_its_number_to_no_other_file(tmp_path: Path) -> None:
    code = """import sys, pipelines.command as c
c._fill_closed_streams()
with open("other", "w") as other:
    print("what nobody sees", file=sys.stderr)
    assert other.fileno() > 2 and not sys.stdin.read() and not sys.stderr.isatty()"""
    done = subprocess.run(
        ["sh", "-c", '"$0" -c "$1" <&- >&- 2>&-', sys.executable, code], cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}
    )
    assert done.returncode == 0
    assert (tmp_path / "other").read_text() == ""
