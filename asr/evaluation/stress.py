"""Recordings made worse on purpose, in steps: noise, room, telephone, codec, speed, clipping, level.

Every change is drawn from the utterance's id, so that a sweep can be made again and systems hear the same.
"""

import io
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from zlib import crc32

import numpy as np
import soundfile
import soxr
from scipy.signal import butter, oaconvolve, sosfiltfilt

from asr.audio.reader import SAMPLE_RATE as RATE
from asr.audio.reader import read_audio
from asr.evaluation.rooms import in_room, recordings_in, response_files
from asr.evaluation.transcribing import Samples


@dataclass(frozen=True)
class StressConfig:
    """Which conditions, and how hard each: lists from mild to severe. An empty list leaves a condition out."""

    noise_folder: Path | None = None  # recordings of noise; None: noise with the spectrum of speech is made
    most_utterances: int | None = None  # of each set, spread evenly; None: all
    noise_snr_db: list[float] = field(default_factory=lambda: [20.0, 15.0, 10.0, 5.0, 0.0])
    room_t60_s: list[float] = field(default_factory=lambda: [0.3, 0.6, 1.0])  # made responses
    room_folder: Path | None = None  # recorded responses of rooms; None: none of the next condition
    recorded_room_t60_s: list[float] = field(default_factory=lambda: [0.25, 0.45, 1.3])
    telephone_khz: list[float] = field(default_factory=lambda: [8.0])  # sample rate; see `telephone`
    codec_kbit: list[float] = field(default_factory=lambda: [24.0, 12.0, 6.0])  # Opus
    slower: list[float] = field(default_factory=lambda: [0.9, 0.8])  # times as fast
    faster: list[float] = field(default_factory=lambda: [1.1, 1.25])
    clipping_db: list[float] = field(default_factory=lambda: [6.0, 12.0, 18.0])  # peaks cut so far down
    level_db: list[float] = field(default_factory=lambda: [-20.0, -40.0, -60.0])  # gain


@dataclass(frozen=True)
class Condition:
    """One change at one severity: its name, its number with unit, and the function (samples, name of utterance)."""

    kind: str
    severity: float
    unit: str
    change: Callable[[Samples, str], Samples]

    @property
    def label(self) -> str:
        """As in "noise 10 dB SNR"."""
        return f"{self.kind} {self.severity:g} {self.unit}"


def conditions(config: StressConfig) -> list[Condition]:
    """All conditions of a sweep, each kind from mild to severe. Raises ConfigError where a folder has no recordings."""
    noises = _noise_files(config.noise_folder) if config.noise_folder else ()
    rooms = response_files(config.room_folder) if config.room_folder else ()
    kinds: list[tuple[str, str, Sequence[float], Callable[..., Samples]]] = [
        ("noise", "dB SNR", config.noise_snr_db, partial(add_noise, noises)),
        ("room", "s T60", config.room_t60_s, add_room),
        ("recorded room", "s T60", config.recorded_room_t60_s if rooms else [], partial(add_recorded_room, rooms)),
        ("telephone", "kHz", config.telephone_khz, telephone),
        ("codec", "kbit/s", config.codec_kbit, opus),
        ("slower", "times", config.slower, change_speed),
        ("faster", "times", config.faster, change_speed),
        ("clipping", "dB", config.clipping_db, clip),
        ("level", "dB", config.level_db, change_level),
    ]
    return [
        Condition(kind, severity, unit, partial(_apply, change, severity))
        for kind, unit, severities, change in kinds
        for severity in severities
    ]


def _apply(change: Callable[..., Samples], severity: float, samples: Samples, name: str) -> Samples:
    return np.ascontiguousarray(change(samples, severity, name), dtype=np.float32) if len(samples) else samples


def add_noise(files: tuple[Path, ...], samples: Samples, snr_db: float, name: str) -> Samples:
    """Noise of a drawn file from a drawn place, at this ratio of powers over the whole utterance."""
    rng = _rng(name)
    source = _read(files[int(rng.integers(len(files)))]) if files else speech_shaped_noise()
    noise = np.resize(np.roll(source, -int(rng.integers(len(source)))), len(samples))
    gain = np.sqrt(_power(samples) / (_power(noise) * 10 ** (snr_db / 10)))
    return np.asarray(samples + gain * noise, dtype=np.float32)


@lru_cache(maxsize=1)
def speech_shaped_noise(seconds: int = 20) -> Samples:
    """Noise that falls by 6 dB an octave above 500 Hz, as long-term speech nearly does."""
    white = np.random.default_rng(0).standard_normal(seconds * RATE)
    spectrum = np.fft.rfft(white) / np.maximum(np.fft.rfftfreq(len(white), 1 / RATE), 500.0)
    noise = np.fft.irfft(spectrum)
    return np.asarray(noise / np.abs(noise).max(), dtype=np.float32)


def add_room(samples: Samples, t60_s: float, name: str) -> Samples:
    """Convolve with a made response: direct sound, and noise that falls by 60 dB in T60, 3 dB weaker in energy."""
    time = np.arange(int(RATE * t60_s)) / RATE
    tail = _rng(name).standard_normal(len(time)) * 10 ** (-3 * time / t60_s)
    tail[: int(0.002 * RATE)] = 0.0
    response = tail * np.sqrt(0.5 / np.sum(tail**2))
    response[0] = 1.0
    return np.asarray(oaconvolve(samples, response)[: len(samples)], dtype=np.float32)


def add_recorded_room(files: tuple[Path, ...], samples: Samples, t60_s: float, name: str) -> Samples:
    """In a drawn one of the recorded rooms that ring about so long."""
    return in_room(files, samples, t60_s, _rng(name))


def telephone(samples: Samples, rate_khz: float, name: str) -> Samples:
    """Band from 300 Hz to 0.425 of the sample rate, 8-bit mu-law (the curve of ITU-T G.711)."""
    rate = 1000 * rate_khz
    narrow = soxr.resample(samples, RATE, rate)
    band = butter(4, [300.0, 0.425 * rate], "bandpass", fs=rate, output="sos")
    limited = np.clip(sosfiltfilt(band, narrow, padlen=min(30, len(narrow) - 1)), -1, 1)
    coded = np.round(127 * np.sign(limited) * np.log1p(255 * np.abs(limited)) / np.log(256)) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log(256)) / 255
    return _fitted(soxr.resample(decoded, rate, RATE), len(samples))


def opus(samples: Samples, kbit: float, name: str) -> Samples:
    """Through the Opus codec and back."""
    stream = io.BytesIO()
    level = float(np.clip(1 - (kbit - 6) / 250, 0, 1))  # libsndfile's scale from 256 to 6 kbit/s
    soundfile.write(stream, samples, RATE, format="OGG", subtype="OPUS", compression_level=level)
    stream.seek(0)
    return _fitted(soundfile.read(stream, dtype="float32")[0], len(samples))


def change_speed(samples: Samples, factor: float, name: str) -> Samples:
    """Faster or slower; the pitch goes with it."""
    return np.asarray(soxr.resample(samples, RATE * factor, RATE), dtype=np.float32)


def clip(samples: Samples, decibels: float, name: str) -> Samples:
    """Cut the peaks off, so far below the highest."""
    most = float(np.abs(samples).max()) * 10 ** (-decibels / 20)
    return np.clip(samples, -most, most)


def change_level(samples: Samples, decibels: float, name: str) -> Samples:
    """Louder or softer, then 16 bits as a recording has."""
    return np.clip(np.round(32767 * samples * 10 ** (decibels / 20)) / 32767, -1, 1)


def _noise_files(folder: Path) -> tuple[Path, ...]:
    hint = "put recordings of noise there, name another folder, or leave the key out for made noise"
    return recordings_in(folder, key="noise_folder", hint=hint)


@lru_cache(maxsize=64)
def _read(path: Path) -> Samples:
    return read_audio(path)


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(crc32(os.fsencode(name)))


def _power(samples: Samples) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64))) + 1e-12


def _fitted(samples: Samples, length: int) -> Samples:
    """Cut or filled with silence: a codec may add or lose a few samples."""
    return np.pad(samples[:length], (0, max(0, length - len(samples)))).astype(np.float32)
