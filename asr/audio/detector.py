"""The speech detector: how likely each frame of 32 ms is speech, by silero-vad's network (MIT), streamed or whole.

Its package runs one frame at a time. Only its LSTM needs that; everything before it is computed for all frames at once
here, from the package's own weights, some 15 times faster and equal to 1e-4 (a test says so).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from asr.errors import ConfigError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import LSTM

FRAME = 512  # samples at 16 kHz
_CONTEXT = 64  # samples of the frame before that the network looks back on
_BLOCK = 512  # frames computed together: bounds the memory of a long input

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]
_Batch = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class DetectorState:
    """Samples not yet in a whole frame, with the context before them, and the LSTM's memory."""

    tail: Samples  # (_CONTEXT + fewer than FRAME,)
    hidden: np.ndarray[tuple[int, int], np.dtype[np.float32]]  # (2, 128): h and c


def start() -> DetectorState:
    """A stream before its first sample."""
    return DetectorState(np.zeros(_CONTEXT, np.float32), np.zeros((2, 128), np.float32))


def step(state: DetectorState, chunk: Samples) -> tuple[DetectorState, Samples]:
    """The probability of every whole frame: (S,) -> (number of frames,)."""
    samples = np.concatenate([state.tail, chunk])
    count = (len(samples) - _CONTEXT) // FRAME
    if count == 0:
        return DetectorState(samples, state.hidden), np.zeros(0, np.float32)
    hidden, found = state.hidden, []
    for first in range(0, count, _BLOCK):
        last = min(count, first + _BLOCK)
        hidden, probabilities = _run(samples[first * FRAME : last * FRAME + _CONTEXT], hidden)
        found.append(probabilities)
    return DetectorState(samples[count * FRAME :].copy(), hidden), np.concatenate(found)


def step_many(streams: Sequence[tuple[DetectorState, Samples]]) -> list[tuple[DetectorState, Samples]]:
    """`step` of many streams, together where all have the same number of frames, as those in step with a grid do."""
    joined = [np.concatenate([state.tail, chunk]) for state, chunk in streams]
    counts = {(len(samples) - _CONTEXT) // FRAME for samples in joined}
    if len(streams) < 2 or len(counts) > 1 or not 0 < min(counts) <= _BLOCK:
        return [step(state, chunk) for state, chunk in streams]
    used = counts.pop() * FRAME
    hidden, found = _run_many(
        np.stack([samples[: used + _CONTEXT] for samples in joined]), np.stack([state.hidden for state, _ in streams])
    )
    return [
        (DetectorState(samples[used:].copy(), h.copy()), probabilities.copy())
        for samples, h, probabilities in zip(joined, hidden, found, strict=True)
    ]


def finish(state: DetectorState) -> Samples:
    """The probability of the last frame, filled up with zeros, if samples are left: (0 or 1,)."""
    missing = FRAME - (len(state.tail) - _CONTEXT)
    if missing == FRAME:
        return np.zeros(0, np.float32)
    return step(state, np.zeros(missing, np.float32))[1]


def detect(samples: Samples) -> Samples:
    """All frames of a recording: (S,) -> (⌈S / FRAME⌉,)."""
    state, found = step(start(), samples)
    return np.concatenate([found, finish(state)])


def _run(
    samples: Samples, hidden: np.ndarray[tuple[int, int], np.dtype[np.float32]]
) -> tuple[np.ndarray[tuple[int, int], np.dtype[np.float32]], Samples]:
    hidden_after, probabilities = _run_many(samples[None], hidden[None])
    return hidden_after[0], probabilities[0]


def _run_many(samples: _Batch, hidden: _Batch) -> tuple[_Batch, _Batch]:
    """(B, _CONTEXT + N · FRAME), (B, 2, 128) -> memory after them, (B, N) probabilities."""
    import torch

    with torch.inference_mode():
        frames = torch.from_numpy(samples).unfold(1, FRAME + _CONTEXT, FRAME)
        encoded = _encode(frames.flatten(0, 1)).view(*frames.shape[:2], -1)
        h, c = torch.from_numpy(hidden).transpose(0, 1)[:, None].contiguous()
        outputs, (h, c) = _lstm()(encoded, (h, c))
        weights = _weights()
        logits = torch.relu(outputs) @ weights["decoder.decoder.2.weight"][0] + weights["decoder.decoder.2.bias"]
        return torch.stack([h[0], c[0]], dim=1).numpy(), torch.sigmoid(logits[..., 0]).numpy()


def _encode(frames: "Tensor") -> "Tensor":
    """(N, FRAME + _CONTEXT) -> (N, 128): spectrum and four convolutions."""
    import torch
    from torch.nn.functional import conv1d, pad

    weights = _weights()
    x = conv1d(pad(frames[:, None], (0, 64), "reflect"), weights["stft.forward_basis_buffer"], stride=128)
    x = (x[:, :129] ** 2 + x[:, 129:] ** 2).sqrt()
    for layer, stride in enumerate((1, 2, 2, 1)):
        name = f"encoder.{layer}.reparam_conv"
        x = torch.relu(conv1d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride, padding=1))
    return x[:, :, 0]


@lru_cache(maxsize=1)
def _weights() -> "dict[str, Tensor]":
    """The 16 kHz half of the package's network.

    Its safetensors file holds an older one, so the TorchScript file is read.
    """
    import warnings
    from importlib.util import find_spec

    import torch

    package = find_spec("silero_vad")
    if package is None or package.origin is None:
        raise ConfigError("silero-vad", "the package is missing; run scripts/setup")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        network = torch.jit.load(  # type: ignore[no-untyped-call]
            Path(package.origin).parent / "data" / "silero_vad.jit", map_location="cpu"
        )
    weights = network.state_dict()
    return {name.removeprefix("_model."): x for name, x in weights.items() if name.startswith("_model.")}


@lru_cache(maxsize=1)
def _lstm() -> "LSTM":
    import torch

    weights = _weights()
    lstm = torch.nn.LSTM(128, 128, batch_first=True)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(lstm, f"{name}_l0").data = weights[f"decoder.rnn.{name}"]
    return lstm.eval().requires_grad_(False)
