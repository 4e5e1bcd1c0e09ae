"""Samples become feature frames: log-mel or MFCC, whole or streamed, with equal results for any cut.

Frame t covers samples [t·hop, t·hop + window): no centring, so a frame never waits for samples beyond its own. The
last frame is padded
with zeros, so every sample is in some frame: T = ⌈(S − window) / hop⌉ + 1, at least 1, and 0 of no samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from asr.errors import ConfigError
from asr.features.torchaudio_adapter import torchaudio


@dataclass(frozen=True)
class FeatureConfig:
    """What a frame is. Lengths in samples at `sample_rate` (Hz)."""

    kind: Literal["logmel", "mfcc"] = "logmel"
    sample_rate: int = 16_000
    window: int = 400  # 25 ms
    hop: int = 160  # 10 ms
    bins: int = 80  # mel bands from 0 Hz to half the sample rate, Slaney's scale and area norm
    coefficients: int = 40  # of an MFCC frame
    floor: float = 1e-7  # added to each band's power before the logarithm: about the noise of a quiet room

    def __post_init__(self) -> None:
        if self.kind not in ("logmel", "mfcc"):
            raise ConfigError("features.kind", f"expected logmel or mfcc, got {self.kind!r}")
        if not 0 < self.hop <= self.window:
            raise ConfigError("features.hop", f"expected 1 to window={self.window} samples, got {self.hop}")
        if not 0 < self.coefficients <= self.bins:
            raise ConfigError("features.coefficients", f"expected 1 to bins={self.bins}, got {self.coefficients}")

    @property
    def size(self) -> int:
        """F: the numbers in one frame."""
        return self.bins if self.kind == "logmel" else self.coefficients

    def frames(self, samples: int) -> int:
        """T for S samples."""
        return 0 if samples == 0 else max(0, -(-(samples - self.window) // self.hop)) + 1


@dataclass(frozen=True, eq=False)
class FramerState:
    """The samples that later frames still need, and how many frames have been given."""

    tail: Tensor  # (fewer than window,)
    frames: int


def start(config: FeatureConfig) -> FramerState:
    """A stream before its first sample."""
    return FramerState(torch.zeros(0), 0)


def step(config: FeatureConfig, state: FramerState, chunk: Tensor) -> tuple[FramerState, Tensor]:
    """Give every frame that is complete. chunk: (S,), S may be 0 -> frames: (T, F); T may be 0."""
    return step_many(config, [(state, chunk)])[0]


def step_many(config: FeatureConfig, streams: Sequence[tuple[FramerState, Tensor]]) -> list[tuple[FramerState, Tensor]]:
    """`step` of many streams; those that give as many frames as others are computed with them."""
    samples = [torch.cat([state.tail.to(chunk), chunk]) for state, chunk in streams]
    counts = [max(0, (len(x) - config.window) // config.hop + 1) for x in samples]
    frames = [chunk.new_empty(0, config.size) for _, chunk in streams]
    for count in set(counts) - {0}:
        used = (count - 1) * config.hop + config.window
        alike = [i for i, other in enumerate(counts) if other == count]
        for i, found in zip(alike, _frames(config, torch.stack([samples[i][:used] for i in alike])), strict=True):
            frames[i] = found.clone() if len(alike) > 1 else found
    return [
        (FramerState(x[count * config.hop :].clone(), state.frames + count), found)
        for (state, _), x, count, found in zip(streams, samples, counts, frames, strict=True)
    ]


def finish(config: FeatureConfig, state: FramerState) -> Tensor:
    """Give the last frame, padded with zeros, if samples are left that no frame holds. -> (0 or 1, F)."""
    seen = config.window - config.hop if state.frames else 0
    if len(state.tail) <= seen:
        return state.tail.new_empty(0, config.size)
    padded = torch.nn.functional.pad(state.tail, (0, config.window - len(state.tail)))
    return _frames(config, padded[None])[0]


def extract(config: FeatureConfig, samples: Tensor) -> Tensor:
    """All frames of a recording: (S,) -> (T, F). The same as any cutting of it into steps."""
    state, frames = step(config, start(config), samples)
    return torch.cat([frames, finish(config, state)])


def _frames(config: FeatureConfig, samples: Tensor) -> Tensor:
    """(B, S) holding whole frames only -> (B, T, F)."""
    mel = _mel_transform(config, samples.device)(samples).transpose(1, 2)
    log_mel = torch.log(mel + config.floor)
    return log_mel if config.kind == "logmel" else log_mel @ _dct(config, samples.device)


@lru_cache(maxsize=8)
def _mel_transform(config: FeatureConfig, device: torch.device) -> torch.nn.Module:
    transform: torch.nn.Module = torchaudio.transforms.MelSpectrogram(
        config.sample_rate,
        n_fft=config.window,
        hop_length=config.hop,
        n_mels=config.bins,
        center=False,
        norm="slaney",
        mel_scale="slaney",
    )
    return transform.to(device)


@lru_cache(maxsize=8)
def _dct(config: FeatureConfig, device: torch.device) -> Tensor:
    matrix: Tensor = torchaudio.functional.create_dct(config.coefficients, config.bins, norm="ortho")
    return matrix.to(device)
