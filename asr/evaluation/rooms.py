"""Recorded room impulse responses: how long each room rings, and speech as it sounds in it."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from asr.audio.reader import SAMPLE_RATE, read_audio
from asr.errors import ConfigError
from asr.evaluation.datasets.reference import AUDIO_SUFFIXES
from asr.evaluation.transcribing import Samples
from asr.features.augmentation import add_room

NEAREST = 4  # responses to draw from, those whose reverberation time is the nearest to the one asked for


def in_room(responses: tuple[Path, ...], samples: Samples, t60_s: float, rng: np.random.Generator) -> Samples:
    """(S,) in a drawn room of about this reverberation time, as loud as before; the direct sound keeps its place."""
    nearest = sorted(responses, key=lambda path: abs(np.log(max(1e-3, t60_of(path)) / t60_s)))[:NEAREST]
    wet = add_room(samples, response_of(nearest[int(rng.integers(len(nearest)))]))
    power = float(np.mean(np.square(wet, dtype=np.float64)))
    gain = np.sqrt(np.mean(np.square(samples, dtype=np.float64)) / power) if power else 1.0
    return np.asarray(gain * wet, dtype=np.float32)


def response_files(folder: Path) -> tuple[Path, ...]:
    """The responses in a folder. Raises ConfigError where there are none."""
    hint = "put recorded impulse responses there, name another folder, or leave the key out"
    return recordings_in(folder, key="room_folder", hint=hint)


def recordings_in(folder: Path, *, key: str, hint: str) -> tuple[Path, ...]:
    """All in a folder that a setting names. Raises ConfigError with a hint where there are none."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES) if folder.is_dir() else []
    if not found:
        raise ConfigError(f"{key}: {folder}", f"expected a folder with recordings; there is none: {hint}")
    return tuple(found)


@lru_cache(maxsize=256)
def response_of(path: Path) -> Samples:
    """A response from its direct sound on, the highest peak. Raises AudioError."""
    samples = read_audio(path)
    return samples[int(np.abs(samples).argmax()) :]


@lru_cache(maxsize=256)
def t60_of(path: Path) -> float:
    """The reverberation time of a file in seconds."""
    return reverberation_time(response_of(path))


def reverberation_time(response: Samples) -> float:
    """T60 in seconds, from the fall of 5 to 25 dB of the energy still to come (Schroeder 1965; ISO 3382's T20)."""
    left = np.cumsum(np.square(response[::-1], dtype=np.float64))[::-1]
    decibels = 10 * np.log10(np.maximum(left / left[0], 1e-12)) if len(left) and left[0] else np.zeros(1)
    falls = np.flatnonzero((decibels <= -5) & (decibels >= -25))
    if len(falls) < 2:
        return 0.0
    slope = np.polyfit(falls / SAMPLE_RATE, decibels[falls], 1)[0]
    return float(-60 / slope)
