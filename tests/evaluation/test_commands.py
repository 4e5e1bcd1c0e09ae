"""The commands from end to end, with a stand-in that hears the words of a file beside the recording."""

import importlib.util
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from asr.decoding.words import Transcript, Utterance, Word
from asr.errors import AsrError, AudioError, ConfigError, ManifestError
from asr.evaluation.result import read_result
from pipelines.compare_command import compare
from pipelines.evaluate_command import evaluate
from pipelines.recognise_references import EngineChoice
from pipelines.score_tables import print_table
from tests.pipelines.test_outputs import refuse_to_replace

app = typer.Typer()
app.command("evaluate")(evaluate)
app.command("compare")(compare)


class Reader:
    """Hears what is in hearing (id -> text); an unknown id is a recording that cannot be decoded."""

    def __init__(self, hearing: dict[str, str]) -> None:
        self.hearing = hearing

    def transcribe(self, source: Path | bytes | BinaryIO, *, name: str | None = None) -> Transcript:
        if name not in self.hearing:
            raise AudioError(str(name), "expected sound, got nothing; check the file")
        words = tuple(Word(word, i * 0.1, i * 0.1 + 0.1, 0.8) for i, word in enumerate(self.hearing[name].split()))
        return Transcript(name, 0.5, (Utterance(0.0, 0.5, words),))


HEARING = {"a.wav": "the cat sat", "b.wav": "on the map"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest of two recordings, and an engine that hears them."""
    monkeypatch.setattr(EngineChoice, "load", lambda _: Reader(HEARING))
    for name in ("a.wav", "b.wav", "c.wav"):
        soundfile.write(tmp_path / name, np.random.default_rng(0).normal(0, 0.1, 8000), 16000)
    rows = [
        {"audio_filepath": name, "text": text, "duration": 0.5}
        for name, text in (("a.wav", "the cat sat"), ("b.wav", "on the mat"))
    ]
    return write_rows(tmp_path / "dev.jsonl", rows)


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, [str(x) for x in arguments])
    if isinstance(result.exception, AsrError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def test_evaluate_prints_a_table_and_json_holds_all_of_it(data: Path, tmp_path: Path) -> None:
    code, out, _ = run(
        "evaluate", data, "--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv", "--report", tmp_path / "r.html"
    )
    assert code == 0
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["set", "WER"], ["dev", "16.7"]]
    assert "WER % under" in out
    saved = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    assert (saved["wer"], saved["words"], saved["substitutions"]) == (pytest.approx(100 / 6), 6, 1)
    assert saved["sets"]["dev"]["wer"] == saved["wer"]
    assert saved["audio_seconds"] == 1.0
    assert saved["utterances"][0]["words"][0] == {"text": "the", "start_s": 0.0, "end_s": 0.1, "confidence": 0.8}
    assert len((tmp_path / "r.csv").read_text(encoding="utf-8").splitlines()) == 3
    assert (tmp_path / "r.html").stat().st_size > 10_000


def test_training_text_tells_rare_words_apart(data: Path, tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("the cat\n" * 10 + "sat on\n", encoding="utf-8")
    _, out, _ = run("evaluate", data, "--training-text", tmp_path / "train.txt")
    assert "missed by count in training: never (out of vocabulary) 100.0 %, 1–4 0.0 %, 5–19 0.0 %" in out
    assert "out of vocabulary: 16.7 %" in out
    assert "confidence: ECE" in out
    assert "intervals: bootstrap over" in out


def test_json_on_stdout_is_json_alone(data: Path) -> None:
    code, out, err = run("evaluate", data, "--json", "-")
    assert (code, json.loads(out)["name"]) == (0, "small")
    assert "WER" in err


def test_what_fails_is_named_the_rest_is_scored_and_the_status_is_one(data: Path, tmp_path: Path) -> None:
    rows = [{"audio_filepath": name, "text": "the cat sat"} for name in ("a.wav", "c.wav", "gone.wav")]
    code, out, err = run("evaluate", write_rows(tmp_path / "other.jsonl", rows), "--json", tmp_path / "r.json")
    assert code == 1
    assert out.splitlines()[2].split()[:2] == ["other", "0.0"]
    assert "problems: 1 missing, 1 failed" in err
    assert "failed: c.wav: c.wav: expected sound" in err
    assert {x.id for x in read_result(tmp_path / "r.json").problems} == {"c.wav", "gone.wav"}


def test_hypotheses_of_another_system_are_scored_without_a_model(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineChoice, "load", lambda _: pytest.fail("no model is needed"))
    (tmp_path / "other.txt").write_text("a the cat sat\nb on the mat\n", encoding="utf-8")
    code, out, _ = run("evaluate", data, "--hypotheses", tmp_path / "other.txt")
    assert (code, out.splitlines()[2].split()[1]) == (0, "0.0")


def test_misuse_is_a_config_error(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected one of none"):
        run("evaluate", data, "--normaliser", "nope")
    with pytest.raises(ConfigError, match="two results"):
        run("compare", data)
    with pytest.raises(ConfigError, match="are the references"):
        run("evaluate", data, "--hypotheses", data)
    assert run("evaluate")[0] == 2


def test_compare_tells_the_difference_and_refuses_other_references(data: Path, tmp_path: Path) -> None:
    run("evaluate", data, "--json", tmp_path / "ours.json")
    (tmp_path / "theirs.txt").write_text("a the cat sat\nb on the mat\n", encoding="utf-8")
    run("evaluate", data, "--hypotheses", tmp_path / "theirs.txt", "--json", tmp_path / "theirs.json")
    code, out, _ = run("compare", tmp_path / "ours.json", tmp_path / "theirs.json", "--report", tmp_path / "c.html")
    assert code == 0
    assert "1 words won by theirs: mat 1" in out
    assert "no difference shown" in out.splitlines()[-1]
    assert (tmp_path / "c.html").is_file()
    _, out, _ = run("compare", tmp_path / "ours.json", tmp_path / "theirs.txt", "--references", data, "--json", "-")
    assert json.loads(out)["comparisons"][0]["overall"]["difference"] == pytest.approx(-100 / 6)
    run(
        "evaluate",
        write_rows(tmp_path / "one.jsonl", [{"audio_filepath": "a.wav", "text": "the cat"}]),
        "--json",
        tmp_path / "one.json",
    )
    with pytest.raises(AsrError, match="expected the same references"):
        run("compare", tmp_path / "ours.json", tmp_path / "one.json")


def test_outputs_are_tried_before_anything_is_heard(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EngineChoice, "load", lambda _: pytest.fail("nothing should be heard"))
    (tmp_path / "h.txt").write_text("a the cat sat\n", encoding="utf-8")
    for option in ("--json", "--csv", "--report"):
        for place in (tmp_path, data, data / "below", "/proc/none"):
            with pytest.raises(ConfigError, match=r"cannot be written|expected (a|another) file"):
                run("evaluate", data, option, place)
    with pytest.raises(ConfigError, match="two results"):
        run("evaluate", data, "--json", tmp_path / "r", "--csv", tmp_path / "r")
    with pytest.raises(ConfigError, match="it is read"):
        run("evaluate", data, "--hypotheses", tmp_path / "h.txt", "--json", tmp_path / "h.txt")
    with pytest.raises(ConfigError, match="it is read"):
        run("compare", tmp_path / "h.txt", tmp_path / "i.txt", "--json", tmp_path / "h.txt")
    with pytest.raises(ManifestError, match="gone"):
        run("evaluate", data, "--training-text", tmp_path / "gone.txt")


def test_one_file_that_cannot_be_written_keeps_no_other_from_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_to_replace(monkeypatch, tmp_path / "r.json")
    code, out, err = run("evaluate", data, "--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv")
    assert (code, "16.7" in out, (tmp_path / "r.csv").is_file()) == (1, True, True)
    kept = Path(err.partition(" is in ")[2].splitlines()[0])
    assert json.loads(kept.read_text(encoding="utf-8"))["words"] == 6


def test_names_that_are_no_text_and_texts_with_odd_ends_of_line_are_scored(data: Path, tmp_path: Path) -> None:
    name = "\udcff\u2028.wav"
    (tmp_path / name).write_bytes((tmp_path / "a.wav").read_bytes())
    row = json.dumps({"audio_filepath": name, "duration": 0.5, "text": "the\u2028cat\u0085sat"}, ensure_ascii=False)
    other = tmp_path / "odd.jsonl"
    other.write_bytes(b"\xef\xbb\xbf" + row.replace("\udcff", "\\udcff").encode() + b"\r\n\r\n")
    (tmp_path / "h.jsonl").write_text(json.dumps({"id": name, "text": "the cat sat"}), encoding="utf-8")
    outputs = ("--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv", "--report", tmp_path / "r.html")
    code, out, _ = run("evaluate", other, "--hypotheses", tmp_path / "h.jsonl", *outputs)
    assert (code, out.splitlines()[2].split()[1]) == (0, "0.0")
    assert read_result(tmp_path / "r.json").answers[0].id == name


def test_references_without_a_hypothesis_make_a_comparison_doubtful_and_the_status_one(
    data: Path, tmp_path: Path
) -> None:
    for name, lines in (("all", "a the cat sat\nb on the mat\n"), ("few", "a the cat sat\n")):
        (tmp_path / f"{name}.txt").write_text(lines, encoding="utf-8")
    run("evaluate", data, "--hypotheses", tmp_path / "few.txt", "--json", tmp_path / "few.json")
    run("evaluate", data, "--hypotheses", tmp_path / "all.txt", "--json", tmp_path / "all.json")
    for kind, references in ((".txt", ("--references", data)), (".json", ())):
        files = [tmp_path / f"{name}{kind}" for name in ("all", "few")]
        code, out, err = run("compare", *files, *references)
        assert code == 1
        assert "1 references without a hypothesis of few count as nothing heard" in out.splitlines()[-1]
        assert "problems of few: 1 unanswered" in err


def test_recordings_that_are_gone_are_named_by_compare_too(data: Path, tmp_path: Path) -> None:
    (tmp_path / "b.wav").unlink()
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text("a the cat sat\nb on the mat\n", encoding="utf-8")
    code, _, err = run("compare", tmp_path / "one.txt", tmp_path / "two.txt", "--references", data)
    assert (code, "1 missing" in err) == (1, True)


def test_a_name_that_can_be_no_file_is_a_recording_that_is_missing(data: Path, tmp_path: Path) -> None:
    rows = [{"audio_filepath": name, "text": "the cat sat"} for name in ("a.wav", "n" * 300, "nul\0")]
    code, out, err = run("evaluate", write_rows(tmp_path / "other.jsonl", rows))
    assert (code, out.splitlines()[2].split()[1], "2 missing" in err) == (1, "0.0", True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_name_with_brackets_is_shown_as_it_is() -> None:
    screen = Terminal()
    print_table([["set", "[b]"], ["[red]dev[/none]", "1"]], title="[/x]", file=screen)
    assert all(name in screen.getvalue() for name in ("[b]", "[red]dev[/none]", "[/x]"))


def test_results_that_no_program_wrote_are_an_error_that_says_where(tmp_path: Path) -> None:
    head = '{"format": "asr-evaluation", "version": 1, "utterances": '
    good = head + '[{"id": "a", "reference": "b", "hypothesis": "b", "duration_s": NaN}]}'
    (tmp_path / "good.json").write_text(good, encoding="utf-8")
    assert read_result(tmp_path / "good.json").answers[0].duration_s is None
    rows = ('{"id": "a"}', '{"id": 1, "reference": "b", "hypothesis": null}', '{"id": "a", "words": [3]}', "7")
    for row in rows:
        (tmp_path / "bad.json").write_text(f"{head}[{row}]}}", encoding="utf-8")
        with pytest.raises(ManifestError, match=r"bad.json.*utterance"):
            run("compare", tmp_path / "good.json", tmp_path / "bad.json")
    with pytest.raises(ConfigError, match="none of them twice"):
        run("compare", tmp_path / "good.json", tmp_path / "good.json")
    with pytest.raises(ConfigError, match="--references"):
        run("compare", tmp_path / "good.json", tmp_path / "other.txt")


def test_a_sweep_has_a_row_for_each_condition(data: Path, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        "noise_snr_db: [10, 0]\nroom_t60_s: []\ntelephone_khz: []\ncodec_kbit: []\n"
        "slower: []\nfaster: [1.1]\nclipping_db: []\nlevel_db: []\n"
    )
    code, out, _ = run(
        "evaluate",
        data,
        "--stress",
        tmp_path / "s.yaml",
        "--json",
        tmp_path / "s.json",
        "--report",
        tmp_path / "s.html",
    )
    assert code == 0
    assert len(out.splitlines()) == 2 + 4
    rows = json.loads((tmp_path / "s.json").read_text())["stress"]
    assert [row["label"] for row in rows] == ["", "10 dB SNR", "0 dB SNR", "1.1 times"]
    with pytest.raises(ConfigError, match="--stress"):
        run("evaluate", data, "--stress", tmp_path / "s.yaml", "--workers", 2)


def test_the_commands_and_the_scores_import_neither_torch_nor_ray() -> None:
    commands = "pipelines.evaluate_command, pipelines.compare_command"
    names = f"{commands}, asr.evaluation.result, asr.evaluation.compare, asr.evaluation.datasets"
    script = f"import sys, {names}; sys.exit(bool({{'torch', 'ray'}} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_peers_that_are_absent_are_skipped_and_one_that_fails_is_said_to(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    data = write_rows(tmp_path / "dev.jsonl", [{"audio_filepath": "a.wav", "text": "nothing"}])
    script = Path(__file__).parents[2] / "scripts" / "compare_peers"
    options = ["--model", str(tmp_path), "--json", str(tmp_path / "p.json"), "--vosk", str(tmp_path / "none")]
    done = subprocess.run([sys.executable, script, data, *options], capture_output=True, text=True, check=False)
    assert "ours: failed" in done.stderr
    assert "vosk: skipped" in done.stderr
    assert "faster-whisper: skipped" in done.stderr
    installed = importlib.util.find_spec("pocketsphinx") is not None
    assert ("pocketsphinx" in done.stdout) == installed
    assert done.returncode == int(not installed)
