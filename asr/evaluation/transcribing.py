"""References -> answers of a recogniser, one recording at a time, as a user would get them."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
import numpy.typing as npt
import soundfile

from asr.audio.reader import SAMPLE_RATE, read_audio
from asr.decoding.words import Transcript
from asr.errors import AsrError
from asr.evaluation.answers import Answer
from asr.evaluation.datasets.reference import Problem, Reference
from asr.evaluation.hypotheses import answer_of

Samples = npt.NDArray[np.float32]
LONGEST_FOR_SNR_S = 600.0


class SpeechRecognizer(Protocol):
    """Anything that transcribes a recording; asr.recognizer.Recognizer does."""

    def transcribe(self, source: Path | bytes | BinaryIO, *, name: str | None = None) -> Transcript:
        """Everything said in the recording."""
        ...


def answer_reference(
    recognizer: SpeechRecognizer,
    dataset: str,
    reference: Reference,
    *,
    change: Callable[[Samples], Samples] | None = None,
) -> Answer | Problem:
    """What the recogniser hears, with the wall seconds it took; or why there is nothing.

    change: (S,) -> (S',), samples made worse before they are heard (robustness).
    """
    if reference.audio is None:
        return Problem("missing", reference.id, "only its text is known; give hypotheses, or a kind with recordings")
    try:
        source = prepare(reference, change=change)
        start = time.perf_counter()
        transcript = recognizer.transcribe(source, name=reference.id)
        wall = time.perf_counter() - start
        seconds = transcript.duration_s  # what was heard, whatever a manifest says: speed is measured by it
        snr = estimate_snr(samples_of(reference)) if seconds <= LONGEST_FOR_SNR_S and change is None else None
    except AsrError as error:
        return Problem("failed", reference.id, str(error))
    one = transcript.utterances[0].alternatives if len(transcript.utterances) == 1 else ()
    answer = answer_of(dataset, reference, text=transcript.text, words=transcript.words, alternatives=one)
    return replace(answer, duration_s=seconds, wall_s=wall, snr_db=snr)


def prepare(reference: Reference, *, change: Callable[[Samples], Samples] | None = None) -> Path | bytes:
    """The recording itself where it is whole, else the samples of the cut, or the changed ones, as a WAV file."""
    assert reference.audio is not None
    if change is None and not reference.is_cut:
        return reference.audio
    samples = samples_of(reference)
    return wav_bytes(samples if change is None else change(samples))


def samples_of(reference: Reference) -> Samples:
    """(S,) float32 at 16 kHz of the reference's own stretch. Raises AudioError."""
    assert reference.audio is not None
    samples = _read(reference.audio, reference.id)
    return samples if reference.part is None else samples[slice(*reference.part.bounds(SAMPLE_RATE))]


@lru_cache(maxsize=1)  # the cuts of one recording mostly follow each other
def _read(audio: Path | bytes, name: str) -> Samples:
    return read_audio(audio, name=name if isinstance(audio, bytes) else None)


def wav_bytes(samples: Samples, rate: int = SAMPLE_RATE) -> bytes:
    """A float WAV file of (S,) samples."""
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format="WAV", subtype="FLOAT")
    return stream.getvalue()


def estimate_snr(samples: Samples, *, frame: int = 400) -> float | None:
    """Speech over background in dB, from the power of 25 ms frames: the loudest third against the quietest tenth.

    A rough measure that needs no model: exact for steady noise with pauses in the speech. None under 0.25 s.
    """
    count = len(samples) // frame
    if count < 10:
        return None
    power = np.sort(np.mean(np.square(samples[: count * frame].reshape(count, frame), dtype=np.float64), axis=1))
    noise = float(np.mean(power[: max(1, count // 10)])) + 1e-10
    speech = float(np.mean(power[-max(1, count // 3) :]))
    return float(np.clip(10 * np.log10(max(speech - noise, 1e-10) / noise), -20.0, 80.0))
