"""Training for latency control: whole batches through the network as `asr.model.latency` will run it, in few calls.

Unfold the input into K windows of C + R frames. In each layer the forward cell runs once over the K · C centre frames
of a stream; from
its state after each centre one batched call runs over all right parts, and one over all windows backwards. A GRU's or
RNN's state is
its output; an LSTM's cell state is not, so its centres run one after the other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from asr.errors import ConfigError
from asr.model.acoustic import AcousticModel, Encoded
from asr.model.latency import LatencyConfig
from asr.model.recurrent import CellState, RecurrentLayer, run
from asr.training.loss import kl_divergence


@dataclass(frozen=True)
class WindowedConfig:
    """How often a batch is trained in windows, which ones, and how hard they are pulled to the full pass."""

    chance: float = 0.5
    centres: tuple[int, ...] = (4, 8, 16)  # C, frames after subsampling, drawn for each batch
    rights: tuple[int, ...] = (4, 8)  # R
    pull: float = 0.5  # weight of the divergence from the full pass, in nats a frame

    def __post_init__(self) -> None:
        if not 0 <= self.chance <= 1 or not self.centres or not self.rights:
            raise ConfigError("windowed", "expected a chance in [0, 1] and at least one centre and one right")

    def draw(self, *, seed: int, step: int) -> LatencyConfig | None:
        """The windows of a step, None for the full pass: a function of seed and step, so that a run resumes exactly."""
        rng = np.random.default_rng([seed, step, 2])
        if rng.random() >= self.chance:
            return None
        return LatencyConfig(int(rng.choice(self.centres)), int(rng.choice(self.rights)))


def encode_windowed(model: AcousticModel, features: Tensor, lengths: Tensor, config: LatencyConfig) -> Encoded:
    """What the streamed network says of whole utterances. (B, T, F), (B,) -> as `AcousticModel.forward`."""
    x, shorter = model.subsample(features, lengths)
    streams, frames, _ = x.shape
    count, width = -(-frames // config.centre), config.centre + config.right
    padded = torch.nn.functional.pad(x, (0, 0, 0, count * config.centre + config.right - frames))
    windows = padded.unfold(1, width, config.centre).transpose(2, 3).flatten(0, 1)  # (B · K, C + R, D)
    begins = torch.arange(count, device=x.device) * config.centre
    inside = (shorter[:, None] - begins).clamp(0, width).flatten()  # frames of each window that are the stream's
    hidden = []
    for layer in model.layers:
        assert isinstance(layer, RecurrentLayer)
        windows = _layer(layer, windows, inside, config, streams)
        hidden.append(windows[:, : config.centre].reshape(streams, count * config.centre, -1)[:, :frames])
    return Encoded(model.read_heads(hidden), shorter)


def _layer(layer: RecurrentLayer, windows: Tensor, inside: Tensor, config: LatencyConfig, streams: int) -> Tensor:
    """(B · K, C + R, I) -> (B · K, C + R, O)."""
    centres = windows[:, : config.centre].reshape(streams, -1, config.centre, windows.shape[-1])  # (B, K, C, I)
    outputs, states = _centres(layer, centres)
    if config.right:
        right, _ = run(layer.forward_cell, windows[:, config.centre :], states)
        outputs = torch.cat([outputs, right], dim=1)
    return layer.combine(windows, outputs, layer.backward_pass(windows, inside), inside)


def _centres(layer: RecurrentLayer, centres: Tensor) -> tuple[Tensor, CellState]:
    """The forward cell over each stream's centres in a row -> (B · K, C, H); the state after each, parts (B · K, H)."""
    count, size = centres.shape[1:3]
    if not isinstance(layer.forward_cell, torch.nn.LSTM):
        outputs, _ = run(layer.forward_cell, centres.flatten(1, 2), None)
        outputs = outputs.reshape(-1, size, outputs.shape[-1])
        return outputs, (outputs[:, -1],)
    state: CellState | None = None
    found, states = [], []
    for window in range(count):
        output, state = run(layer.forward_cell, centres[:, window], state)
        found.append(output)
        states.append(state)
    after = tuple(torch.stack(parts, dim=1).flatten(0, 1) for parts in zip(*states, strict=True))
    return torch.stack(found, dim=1).flatten(0, 1), after


def divergence(windowed: Encoded, full: Encoded) -> Tensor:
    """KL(full ‖ windowed) a frame, mean over heads: pulls the windows to the full pass, which is not moved."""
    terms = [
        kl_divergence(log_probs, full.log_probs[head], windowed.lengths)
        for head, log_probs in windowed.log_probs.items()
    ]
    return torch.stack(terms).mean() / windowed.lengths.sum()
