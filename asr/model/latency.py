"""Latency control: a bidirectional network over a stream, in windows of C new frames with R frames of right context.

In each window every layer runs its forward cell from the carried state over the C frames (and on, without carrying,
over the R), and its
backward cell from zero at the window's end; the C frames' outputs are kept. Windows lie on a grid counted from the
stream's first frame,
so pushes of any size give the same. At the stream's end the window is cut where the frames end: C + R beyond the
whole is the full pass.
After Zhang et al. 2016 (latency-controlled BLSTM, ICASSP), with C and R chosen at run time. Frames here are those
after subsampling (40 ms; 32 where features have a hop of 8 ms).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from asr.errors import ConfigError
from asr.model.acoustic import AcousticModel
from asr.model.recurrent import RecurrentLayer, run

Heads = tuple[str, ...]
LogProbs = dict[str, Tensor]  # head -> (T', V)


@dataclass(frozen=True)
class LatencyConfig:
    """A word is delayed by R to C + R frames, and the look-ahead of the convolutions."""

    centre: int = 16  # C: more costs delay and saves work
    right: int = 8  # R: more costs delay and work and saves errors; 0 for a model of one direction

    @classmethod
    def of_delay(cls, delay_ms: float, *, bidirectional: bool, frame_ms: float) -> "LatencyConfig":
        """At most this delay, a third of it right context (none for a model of one direction). Raises ConfigError."""
        if not math.isfinite(delay_ms):
            raise ConfigError("delay", f"expected milliseconds, got {delay_ms}")
        frames = int(delay_ms / frame_ms)
        right = round(frames / 3) if bidirectional else 0
        if frames - right < 1:
            raise ConfigError("delay", f"expected at least {frame_ms:.0f} ms, got {delay_ms:.0f}")
        return cls(frames - right, right)

    def __post_init__(self) -> None:
        if self.centre < 1 or self.right < 0:
            raise ConfigError("latency", f"expected centre >= 1 and right >= 0, got {self.centre} and {self.right}")


@dataclass(frozen=True, eq=False)
class LatencyState:
    """A stream's memory: feature frames still needed, each layer's forward cell where the next window begins."""

    kept: Tensor  # (few, F), from frame `kept_from` on
    kept_from: int
    done: int  # frames after subsampling that have been given: always a multiple of C before the end
    cells: Tensor  # (L, P, H): of each layer an RNN's or GRU's h, an LSTM's h and c

    @property
    def frames(self) -> int:
        """Feature frames the stream has had."""
        return self.kept_from + len(self.kept)


@dataclass(frozen=True, eq=False)
class _Window:
    """One stream's next window: its input after subsampling, and how much of it is new."""

    x: Tensor  # (at most C + R, D)
    centre: int


def start(model: AcousticModel) -> LatencyState:
    """A stream before its first frame."""
    parts = 2 if model.config.cell == "lstm" else 1
    cells = torch.zeros(len(model.layers), parts, model.config.hidden, device=model.mean.device)
    return LatencyState(cells.new_zeros(0, model.config.bins), 0, 0, cells)


def step(
    model: AcousticModel, config: LatencyConfig, state: LatencyState, frames: Tensor, heads: Heads
) -> tuple[LatencyState, LogProbs]:
    """Every window that is complete. frames: (T, F), T may be 0 -> head -> (T', V); T' may be 0."""
    [(state, log_probs)] = step_many(model, config, [(state, frames)], heads)
    return state, log_probs


def finish(model: AcousticModel, config: LatencyConfig, state: LatencyState, heads: Heads) -> LogProbs:
    """What is left, up to the stream's end."""
    [(_, log_probs)] = _advance(model, config, [state], heads, ended=True)
    return log_probs


@torch.inference_mode()
def step_many(
    model: AcousticModel, config: LatencyConfig, streams: Sequence[tuple[LatencyState, Tensor]], heads: Heads
) -> list[tuple[LatencyState, LogProbs]]:
    """`step` of many streams at once, each as if alone."""
    given = [
        LatencyState(torch.cat([state.kept, frames]), state.kept_from, state.done, state.cells)
        for state, frames in streams
    ]
    return _advance(model, config, given, heads, ended=False)


@torch.inference_mode()
def _advance(
    model: AcousticModel, config: LatencyConfig, states: list[LatencyState], heads: Heads, *, ended: bool
) -> list[tuple[LatencyState, LogProbs]]:
    """Run windows, those of all streams that have one together, until no stream has any."""
    found: list[list[LogProbs]] = [[] for _ in states]
    while ready := [i for i, state in enumerate(states) if _is_ready(model, config, state, ended)]:
        windows = _windows(model, config, [states[i] for i in ready])
        cells, log_probs = _run_windows(model, config, windows, torch.stack([states[i].cells for i in ready]), heads)
        for row, i in enumerate(ready):
            found[i].append({head: x[row, : windows[row].centre] for head, x in log_probs.items()})
            states[i] = _moved_on(model, states[i], windows[row].centre, cells[row])
    return [(_cloned(state), _joined(model, parts, heads)) for state, parts in zip(states, found, strict=True)]


def _is_ready(model: AcousticModel, config: LatencyConfig, state: LatencyState, ended: bool) -> bool:
    factor = model.config.subsampling
    if ended:
        return state.done < -(-state.frames // factor)
    return state.done + config.centre + config.right <= state.frames // factor


def _windows(model: AcousticModel, config: LatencyConfig, states: list[LatencyState]) -> list[_Window]:
    """Each stream's next window; those that need as many feature frames as others are subsampled with them."""
    needed = [_needed(model, config, state) for state in states]
    found: dict[int, _Window] = {}
    for length in {len(frames) for frames in needed}:
        alike = [i for i, frames in enumerate(needed) if len(frames) == length]
        lengths = torch.full((len(alike),), length, device=needed[0].device)
        x, _ = model.subsample(torch.stack([needed[i] for i in alike]), lengths)
        for row, i in enumerate(alike):
            skipped = min(1, states[i].done)
            found[i] = _Window(x[row, skipped:], min(config.centre, x.shape[1] - skipped))
    return [found[i] for i in range(len(states))]


def _needed(model: AcousticModel, config: LatencyConfig, state: LatencyState) -> Tensor:
    """The feature frames that the next window needs.

    Output t depends on frames from factor · (t - 1) + 1 on, so one output more is
    computed on the left, whose own left context is cut off, and dropped; at the stream's start zeros are its true
    context.
    """
    factor = model.config.subsampling
    first, last = max(0, state.done - 1) * factor, (state.done + config.centre + config.right) * factor
    return state.kept[first - state.kept_from : min(state.frames, last) - state.kept_from]


def _run_windows(
    model: AcousticModel,
    config: LatencyConfig,
    windows: list[_Window],
    cells: Tensor,
    heads: Heads,
) -> tuple[Tensor, LogProbs]:
    """All layers over windows of several streams, cells (B, L, P, H) -> cells after centres, head -> (B, C + R, V)."""
    lengths = torch.tensor([len(window.x) for window in windows], device=windows[0].x.device)
    x = torch.nn.utils.rnn.pad_sequence([window.x for window in windows], batch_first=True)
    after, hidden = [], []
    for index, layer in enumerate(model.layers):
        assert isinstance(layer, RecurrentLayer)
        before = cells[:, index].unbind(1)
        outputs, at_centre = run(layer.forward_cell, x[:, : config.centre], before)
        if x.shape[1] > config.centre:
            beyond, _ = run(layer.forward_cell, x[:, config.centre :], at_centre)
            outputs = torch.cat([outputs, beyond], dim=1)
        x = layer.combine(x, outputs, layer.backward_pass(x, lengths), lengths)
        after.append(torch.stack(at_centre, dim=1))
        hidden.append(x)
    return torch.stack(after, dim=1), model.read_heads(hidden, heads)


def _moved_on(model: AcousticModel, state: LatencyState, centre: int, cells: Tensor) -> LatencyState:
    done = state.done + centre
    needed = max(state.kept_from, (done - 1) * model.config.subsampling)
    return LatencyState(state.kept[needed - state.kept_from :], needed, done, cells)


def _cloned(state: LatencyState) -> LatencyState:
    """Views cut loose from what they were cut out of."""
    return LatencyState(state.kept.clone(), state.kept_from, state.done, state.cells.clone())


def _joined(model: AcousticModel, parts: list[LogProbs], heads: Heads) -> LogProbs:
    if parts:
        return {head: torch.cat([part[head] for part in parts]) for head in heads}
    return {head: torch.zeros(0, model.size_of(head)) for head in heads}
