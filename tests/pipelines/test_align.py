"""Laws of `asr align`, with the model of the package."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from asr.errors import ConfigError
from asr.evaluation.transcript_alignment import align_text
from asr.output.textgrid import parse_textgrid
from asr.recognizer import Recognizer
from pipelines.command import app
from tests import flite
from tests.recordings import RECORDINGS


def wav(samples: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV")
    return buffer.getvalue()


def text_of(path: Path) -> str:
    return path.with_suffix(".txt").read_text(encoding="utf-8").strip()


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("small", device="cpu", decoding="greedy")


def test_words_lie_where_their_recordings_were_placed(recognizer: Recognizer) -> None:
    pause, parts, starts, alone, at = np.zeros(24_000, np.float32), [], [], [], 0
    for path in RECORDINGS[4:7]:
        samples = soundfile.read(path, dtype="float32")[0]
        words = align_text(recognizer, path, text_of(path), name=path.name).transcript.words
        starts += [word.start_s + at / 16_000 for word in words]
        alone += [word.text for word in words]
        parts += [samples, pause]
        at += len(samples) + len(pause)
    found = align_text(recognizer, wav(np.concatenate(parts)), " ".join(alone), name="joined").transcript.words
    assert [word.text for word in found] == alone
    assert np.median(np.abs(np.subtract([word.start_s for word in found], starts))) <= 0.05


@pytest.mark.parametrize("text", ["", " \n", "— …"])
def test_a_text_without_a_word_is_misuse(text: str) -> None:
    done = CliRunner().invoke(app, ["align", str(RECORDINGS[0]), "--text", text])
    assert isinstance(done.exception, ConfigError)
    assert "holds no word" in str(done.exception)


def test_every_format_tells_the_same_words(tmp_path: Path) -> None:
    path = next(x for x in RECORDINGS if x.name.startswith("librispeech-5639"))
    command = ["align", str(path), str(path.with_suffix(".txt")), "--format", "textgrid,ctm,json,srt,vtt"]
    done = CliRunner().invoke(app, [*command, "--out", str(tmp_path), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    tiers = parse_textgrid((tmp_path / f"{path.stem}.TextGrid").read_text(encoding="utf-8"))
    assert [interval.text for interval in tiers["words"]] == text_of(path).split()
    assert len(tiers["tokens"]) >= len(tiers["words"])
    assert json.loads((tmp_path / f"{path.stem}.json").read_text(encoding="utf-8"))["text"] == text_of(path)
    assert len(list(tmp_path.iterdir())) == 5


def test_a_word_that_cannot_be_written_is_named(recognizer: Recognizer) -> None:
    with pytest.raises(ConfigError, match="'42'"):
        align_text(recognizer, RECORDINGS[0], "all 42 of them", name="x")


def test_words_of_synthetic_speech_lie_where_they_were_spoken(recognizer: Recognizer, tmp_path: Path) -> None:
    """Known times, from two voices: half of all starts and ends within 50 ms, nine in ten within 150."""
    if flite.FLITE is None:
        pytest.skip("flite is not installed: apt-get install flite")
    texts = [text_of(path) for path in RECORDINGS[::3]]
    errors = []
    for voice in flite.VOICES[:2]:
        for text in texts:
            known = flite.speak(voice, text, tmp_path / "spoken.wav")
            found = align_text(recognizer, tmp_path / "spoken.wav", text, name=voice).transcript.words
            assert [word.text for word in found] == [word for word, _, _ in known]
            errors += [(w.start_s - start, w.end_s - end) for w, (_, start, end) in zip(found, known, strict=True)]
    assert len(errors) > 50
    assert np.median(np.abs(errors), axis=0).max() <= 0.05
    assert np.quantile(np.abs(errors), 0.9, axis=0).max() <= 0.15


def test_a_set_is_checked_and_what_is_not_said_is_listed(tmp_path: Path) -> None:
    good, bad, silent = RECORDINGS[4], RECORDINGS[7], tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(16_000), 16_000)
    words = text_of(bad).split()
    rows = [(good, text_of(good)), (bad, " ".join([*words[:3], "purple", "elephants", *words[3:]])), (silent, "hello")]
    lines = [json.dumps({"id": f"u{i}", "audio_filepath": str(path), "text": x}) for i, (path, x) in enumerate(rows)]
    (tmp_path / "set.jsonl").write_text("\n".join(lines))
    done = CliRunner().invoke(app, ["align", "--check", str(tmp_path / "set.jsonl"), "--device", "cpu"])
    assert done.exit_code == 1
    assert "u2: no speech was found" in done.stderr
    listed = {line.split("\t")[0]: line for line in done.stdout.splitlines()}
    assert "elephants@" in listed["u1"]
    assert "u2" not in listed
    refused = CliRunner().invoke(app, ["align", "--check", str(tmp_path), "--text", "hello"])
    assert isinstance(refused.exception, ConfigError)
