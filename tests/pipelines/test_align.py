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
