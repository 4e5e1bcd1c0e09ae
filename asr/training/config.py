"""Everything that a training run can be told, with its defaults."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from asr.data.batches import BatchConfig
from asr.errors import ConfigError
from asr.features.augmentation import AugmentationConfig
from asr.features.spectral import FeatureConfig
from asr.model.acoustic import AcousticConfig
from asr.training.discriminative import DiscriminativeConfig
from asr.training.windowed import WindowedConfig


@dataclass(frozen=True)
class DataConfig:
    """Where the recordings are. Paths are relative to the config file."""

    train: dict[Path, float] = field(default_factory=dict)  # manifest -> how often it counts in an epoch
    dev: Path | None = None
    noise: Path | None = None  # manifest of noises
    rooms: Path | None = None  # manifest of room impulse responses
    longest_room_s: float = 1.0  # reverberation time
    subwords: int = 500
    workers: int = 1  # processes that make batches ahead
    batches: BatchConfig = field(default_factory=BatchConfig)


@dataclass(frozen=True)
class OptimiserConfig:
    """AdamW (Loshchilov and Hutter 2019); the rate warms up, stays, and falls to `last_rate` over the last steps."""

    rate: float = 1.2e-3
    weight_decay: float = 0.01
    clip_norm: float = 5.0
    warmup_steps: int = 300
    total_steps: int = 4000
    decay_steps: int = 1000
    last_rate: float = 0.0  # above it, for a phase that another goes on from
    average: float = 0.999  # of the running average of weights that is evaluated and kept

    def __post_init__(self) -> None:
        if not self.warmup_steps + self.decay_steps <= self.total_steps:
            raise ConfigError("optimiser.total_steps", f"expected warm-up and decay to fit, got {self.total_steps}")
        if not 0 <= self.last_rate <= self.rate:
            raise ConfigError("optimiser.last_rate", f"expected 0 to rate={self.rate:g}, got {self.last_rate:g}")

    def rate_at(self, step: int) -> float:
        """The learning rate of step 0, 1, …"""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cool = max(0.0, min(1.0, (self.total_steps - step) / max(1, self.decay_steps)))
        return warm * (self.last_rate + (self.rate - self.last_rate) * cool)


@dataclass(frozen=True)
class TrainingConfig:
    """A run: data, network, optimiser. `augmentation: null` trains on the recordings as they are."""

    data: DataConfig
    features: FeatureConfig = field(default_factory=FeatureConfig)
    model: AcousticConfig = field(default_factory=AcousticConfig)
    optimiser: OptimiserConfig = field(default_factory=OptimiserConfig)
    windowed: WindowedConfig | None = None  # training for latency control: after the full pass has learned
    discriminative: DiscriminativeConfig | None = None  # once CTC has learned: against all other sequences of tokens
    consistency: float = 0.0  # weight of what two views of a batch, masked differently, disagree on; 0: one view
    augmentation: AugmentationConfig | None = field(default_factory=AugmentationConfig)
    augment_from_epoch: int = 1  # CTC takes off sooner on clean, short speech
    initial: Path | None = None  # a bundle whose weights and units the run begins with
    precision: str = "auto"  # auto: bf16 where the hardware multiplies it, else fp32
    seed: int = 1
    save_every: int = 500  # steps
    evaluate_every: int = 500
    keep: int = 2  # checkpoints, beside the best

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if self.model.bins != self.features.size:
            raise ConfigError("model.bins", f"expected the features' {self.features.size}, got {self.model.bins}")
        if self.consistency < 0 or (self.consistency > 0 and self.augmentation is None):
            raise ConfigError(
                "consistency", f"expected 0, or a weight above it with augmentation, got {self.consistency}"
            )
        if self.augmentation and self.augmentation.voice_chance > 0 and self.features.kind != "logmel":
            raise ConfigError("augmentation.voice_chance", f"expected 0 beside features.kind: {self.features.kind}")
        if self.discriminative and self.discriminative.head not in self.model.heads:
            raise ConfigError(
                "discriminative.head",
                f"expected one of {', '.join(self.model.heads)}, got {self.discriminative.head!r}",
            )
        if not self.data.train:
            raise ConfigError("data.train", "expected at least one manifest; there is nothing to train on")


def check_precision(precision: str) -> None:
    """Raises ConfigError."""
    if precision not in ("auto", "bf16", "fp32"):
        raise ConfigError("precision", f"expected auto, bf16 or fp32, got {precision!r}")


def trains_in_bf16(precision: str, device: torch.device) -> bool:
    """Whether steps of a run at `precision` run in bf16. Without its instructions a CPU is fifty times slower in it."""
    if precision != "auto":
        return precision == "bf16"
    return device.type == "cuda" or (device.type == "cpu" and torch.cpu._is_avx512_bf16_supported())
