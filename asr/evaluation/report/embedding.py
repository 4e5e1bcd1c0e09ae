"""Recordings as text inside the page: Ogg Opus in base64."""

import base64
import io
import os
from dataclasses import dataclass
from pathlib import Path

import soundfile

from asr.audio.reader import SAMPLE_RATE
from asr.errors import AsrError
from asr.evaluation.answers import Answer
from asr.evaluation.datasets.reference import Reference
from asr.evaluation.transcribing import Samples, samples_of

PLAYABLE = frozenset({".opus", ".ogg", ".mp3"})  # small already: as they are
MOST_BYTES_A_SECOND = 16_000
LONGEST_S = 900.0


@dataclass(frozen=True)
class Embedded:
    """A recording in base64, or the reason why it is not there."""

    base64: str
    missing: str = ""


def embed(answer: Answer) -> Embedded:
    """The stretch of an answer as Opus (small compressed files as they are)."""
    path = Path(answer.audio)
    if not answer.audio:
        return Embedded("", "the recording is in no file")
    if not os.path.isfile(path):  # noqa: PTH113  (False for any name)
        return Embedded("", f"there is no file {path} seen from where the report was made")
    if (answer.duration_s or 0.0) > LONGEST_S:
        return Embedded("", f"longer than {LONGEST_S:.0f} s: listen to {path}")
    try:
        return Embedded(base64.b64encode(_bytes_of(path, answer)).decode("ascii"))
    except (AsrError, OSError) as error:
        return Embedded("", str(error))


def _bytes_of(path: Path, answer: Answer) -> bytes:
    small = path.stat().st_size <= MOST_BYTES_A_SECOND * (answer.duration_s or 1.0)
    if answer.offset_s is None and path.suffix.lower() in PLAYABLE and small:
        return path.read_bytes()
    reference = Reference(answer.id, path, "", answer.offset_s, answer.duration_s)
    return opus_bytes(samples_of(reference))


def opus_bytes(samples: Samples, rate: int = SAMPLE_RATE) -> bytes:
    """An Ogg Opus file of (S,) samples, about 27 kbit/s."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="OGG", subtype="OPUS")
    return stream.getvalue()
