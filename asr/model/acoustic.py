"""The acoustic model: features -> log-probabilities of tokens, by convolutions, recurrent layers and CTC heads.

CTC: Graves et al. 2006. Heads below the top layer: intermediate CTC, Lee and Watanabe 2021 (arXiv:2102.03216).
"""

from concurrent.futures import Executor
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from asr.errors import ConfigError
from asr.model.recurrent import Cell, RecurrentLayer
from asr.model.subsampling import Subsampling


@dataclass(frozen=True)
class HeadConfig:
    """A linear layer to log-probabilities over one set of units."""

    units: str  # "subword", "character" or "phoneme"
    layer: int  # 1 is the first recurrent layer
    weight: float = 1.0  # of its CTC loss in training; 0 leaves it untrained


@dataclass(frozen=True)
class AcousticConfig:
    """The network's shape. Nothing about training but its dropout."""

    bins: int = 80
    cell: Cell = "lstm"
    layers: int = 4
    hidden: int = 320
    bidirectional: bool = True
    subsampling: int = 4
    channels: int = 32
    dropout: float = 0.1
    heads: dict[str, HeadConfig] = field(default_factory=lambda: {"subword": HeadConfig("subword", 4)})

    def __post_init__(self) -> None:
        if self.cell not in ("rnn", "gru", "lstm"):
            raise ConfigError("model.cell", f"expected rnn, gru or lstm, got {self.cell!r}")
        if self.subsampling not in (4, 8):
            raise ConfigError("model.subsampling", f"expected 4 or 8, got {self.subsampling}")
        for name, head in self.heads.items():
            if not 1 <= head.layer <= self.layers:
                raise ConfigError(f"model.heads.{name}.layer", f"expected 1 to {self.layers}, got {head.layer}")


def text_head(config: AcousticConfig) -> str:
    """The first head that writes text by itself. Raises ConfigError."""
    for name, head in config.heads.items():
        if head.units != "phoneme":
            return name
    raise ConfigError("model.heads", "expected one of subwords or characters; phonemes alone write no text greedily")


@dataclass(frozen=True, eq=False)
class Encoded:
    """What the model says of a batch: for each head (B, T', V) log-probabilities; lengths (B,): each stream's T'."""

    log_probs: dict[str, Tensor]
    lengths: Tensor


class AcousticModel(nn.Module):
    """(B, T, F) feature frames -> `Encoded`. Streams in company, ragged or alone, get the same."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, config: AcousticConfig, sizes: dict[str, int]) -> None:
        """`sizes`: V of each head in `config.heads`, blank included."""
        super().__init__()
        self.config = config
        self.register_buffer("mean", torch.zeros(config.bins))
        self.register_buffer("deviation", torch.ones(config.bins))
        self.subsampling = Subsampling(bins=config.bins, channels=config.channels, factor=config.subsampling)
        self.layers = nn.ModuleList()
        inputs = self.subsampling.size
        for _ in range(config.layers):
            layer = RecurrentLayer(
                cell=config.cell,
                inputs=inputs,
                hidden=config.hidden,
                bidirectional=config.bidirectional,
                dropout=config.dropout,
            )
            self.layers.append(layer)
            inputs = layer.size
        self.heads = nn.ModuleDict({name: nn.Linear(inputs, sizes[name]) for name in config.heads})

    def size_of(self, head: str) -> int:
        """V of a head, blank included."""
        return int(self.heads[head].out_features)  # type: ignore[arg-type]

    def forward(
        self,
        features: Tensor,
        lengths: Tensor,
        heads: tuple[str, ...] | None = None,
        beside: Executor | None = None,
    ) -> Encoded:
        """features: (B, T, F), padding of any value; lengths: (B,) in frames; `heads`: compute these only.

        `beside`: for a pass without gradients that has a hurry: see `RecurrentLayer`.
        """
        x, lengths = self.subsample(features, lengths)
        hidden = []
        for layer in self.layers:
            x = layer(x, lengths, beside)
            hidden.append(x)
        return Encoded(self.read_heads(hidden, heads), lengths)

    def subsample(self, features: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise by the stored mean and deviation, then shorten time. -> (B, T', C), (B,)."""
        x, shorter = self.subsampling((features - self.mean) / self.deviation, lengths)
        return x, shorter

    def read_heads(self, hidden: list[Tensor], heads: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """The layers' outputs, first to last, each (B, T', H) -> log-probabilities of the named heads, or of all."""
        return {
            name: self.heads[name](hidden[self.config.heads[name].layer - 1]).float().log_softmax(-1)
            for name in (self.config.heads if heads is None else heads)
        }
