"""Training augmentation of samples and features.

Every draw comes from the generator given, so a step can be made again.

SpecAugment: Park et al. 2019 (arXiv:1904.08779). Speed perturbation: Ko et al. 2015. Room responses: Ko et al. 2017.
Warping of the vocal tract's length: Jaitly and Hinton 2013.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import soxr
import torch
from scipy.signal import oaconvolve
from torch import Tensor

from asr.features.spectral import FeatureConfig
from asr.features.torchaudio_adapter import torchaudio

RATE = 16_000
Centres = np.ndarray[tuple[int], np.dtype[np.float64]]
Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True)
class AugmentationConfig:
    """Chances in [0, 1] for each utterance and the range of what is drawn."""

    speed_chance: float = 0.5
    speed: tuple[float, float] = (0.9, 1.1)
    room_chance: float = 0.15
    noise_chance: float = 0.4
    noise_snr_db: tuple[float, float] = (0.0, 25.0)
    band_chance: float = 0.1
    band_hz: tuple[float, float] = (3400.0, 7000.0)  # everything above is cut
    level_db: tuple[float, float] = (-30.0, -3.0)  # peak of the result
    tempo_chance: float = 0.0
    tempo: tuple[float, float] = (0.88, 1.12)
    voice_chance: float = 0.0  # of another tract and colour, beyond what speed changes; log-mel features only
    tract: tuple[float, float] = (0.88, 1.12)  # scale of the formants
    colour_db: float = 3.0  # deviation of each of three terms of a smooth curve over the bands
    time_masks_per_s: float = 0.7
    time_mask_s: float = 0.35  # longest
    frequency_masks: int = 2
    frequency_mask_bins: int = 22  # widest, of 80


def augment_samples(
    config: AugmentationConfig,
    samples: Samples,
    *,
    noises: Sequence[Samples],
    rooms: Sequence[Samples],
    rng: np.random.Generator,
) -> Samples:
    """Speed, room, noise, band limit and level, each by its chance.

    (S,) -> (S',); `noises` and `rooms` may be empty.
    """
    if rng.random() < config.speed_chance:
        samples = change_speed(samples, rng.uniform(*config.speed))
    if rooms and rng.random() < config.room_chance:
        samples = add_room(samples, rooms[int(rng.integers(len(rooms)))])
    if noises and rng.random() < config.noise_chance:
        noise = noises[int(rng.integers(len(noises)))]
        samples = add_noise(samples, np.roll(noise, rng.integers(len(noise))), rng.uniform(*config.noise_snr_db))
    if rng.random() < config.band_chance:
        samples = limit_band(samples, rng.uniform(*config.band_hz))
    peak = 10 ** (rng.uniform(*config.level_db) / 20)
    scaled: Samples = samples * np.float32(peak / max(1e-5, float(np.abs(samples).max(initial=0.0))))
    return scaled


def change_speed(samples: Samples, factor: float) -> Samples:
    """Play faster (factor > 1) or slower; pitch and formants move with it. (S,) -> (about S / factor,)."""
    changed: Samples = soxr.resample(samples, RATE * factor, RATE, quality="LQ")
    return changed


def add_room(samples: Samples, response: Samples) -> Samples:
    """Convolve with a room's impulse response; the direct sound stays where it was. (S,) -> (S,)."""
    direct = int(np.abs(response).argmax())
    wet = oaconvolve(samples, response)  # torch's FFT of such odd lengths is several times slower
    placed: Samples = wet[direct : direct + len(samples)].astype(np.float32)
    return placed


def add_noise(samples: Samples, noise: Samples, snr_db: float) -> Samples:
    """Add noise, repeated or cut to length, at a signal-to-noise ratio over the whole. (S,) -> (S,)."""
    fitted = np.resize(noise, len(samples))
    mixed = torchaudio.functional.add_noise(
        torch.from_numpy(samples)[None], torch.from_numpy(fitted)[None] + 1e-9, torch.tensor([snr_db])
    )
    noisy: Samples = mixed[0].numpy()
    return noisy


def limit_band(samples: Samples, cutoff_hz: float) -> Samples:
    """Remove everything above a frequency, as a telephone or a poor microphone does. (S,) -> (S,)."""
    narrow = soxr.resample(samples, RATE, 2 * cutoff_hz, quality="LQ")
    wide: Samples = np.resize(soxr.resample(narrow, 2 * cutoff_hz, RATE, quality="LQ"), len(samples))
    return wide


def change_pace(config: AugmentationConfig, frames: Tensor, rng: np.random.Generator) -> Tensor:
    """Another pace by its chance; pitch and formants stay. (T, F) -> (about T / tempo, F)."""
    if rng.random() >= config.tempo_chance:
        return frames
    length = max(1, round(len(frames) / rng.uniform(*config.tempo)))
    return _interpolated(frames, torch.linspace(0, len(frames) - 1, length))


def change_voice(
    config: AugmentationConfig, features: FeatureConfig, frames: Tensor, rng: np.random.Generator
) -> Tensor:
    """Another vocal tract and another microphone by their chance; every frame stays in its place. Log-mel (T, F)."""
    if rng.random() >= config.voice_chance:
        return frames
    tract, top = rng.uniform(*config.tract), features.sample_rate / 2
    knee = 0.6 * top * min(1.0, 1.0 / tract)  # formants below it move by the scale; the band's top stays
    centres = _mel_centres(features.bins, features.sample_rate)
    sources = np.interp(centres, [0.0, knee * tract, top], [0.0, knee, top])
    bands = torch.from_numpy(np.interp(sources, centres, np.arange(features.bins)))
    angles = np.pi * (np.arange(features.bins) + 0.5) / features.bins
    colour_db = sum(rng.normal(0.0, config.colour_db) * np.cos(term * angles) for term in (1, 2, 3))
    return _interpolated(frames.T, bands).T + torch.from_numpy(np.asarray(colour_db * math.log(10) / 10, np.float32))


@lru_cache(maxsize=8)
def _mel_centres(bins: int, sample_rate: int) -> Centres:
    """The middle of each mel band in Hz: (bins,)."""
    import librosa  # only training warps

    edges: Centres = librosa.mel_frequencies(bins + 2, fmin=0.0, fmax=sample_rate / 2)
    return edges[1:-1]


def _interpolated(rows: Tensor, places: Tensor) -> Tensor:
    """Rows between rows: (N, D), (M,) in [0, N − 1] -> (M, D)."""
    below = places.floor().long().clamp(0, len(rows) - 1)
    share = (places - below).to(rows.dtype)[:, None]
    return torch.lerp(rows[below], rows[(below + 1).clamp_max(len(rows) - 1)], share)


def mask_features(config: AugmentationConfig, frames: Tensor, fill: Tensor, rng: np.random.Generator) -> Tensor:
    """SpecAugment without warping: spans of time and of bands are set to `fill` (F,). (T, F) -> (T, F)."""
    masked = frames.clone()
    length, bins = masked.shape
    for _ in range(rng.poisson(config.time_masks_per_s * length / 100)):
        width = int(rng.integers(0, max(1, math.ceil(100 * config.time_mask_s))))
        begin = int(rng.integers(0, max(1, length - width)))
        masked[begin : begin + width] = fill
    for _ in range(config.frequency_masks):
        width = int(rng.integers(0, config.frequency_mask_bins * bins // 80 + 1))
        begin = int(rng.integers(0, bins - width + 1))
        masked[:, begin : begin + width] = fill[begin : begin + width]
    return masked
