"""The first half of a live stream, without the network: samples in; utterances that ended and fresh frames out.

Pushes of any size are cut into blocks on a grid counted from the stream's first sample, so what is heard does not
depend on them. The second half, `asr.live`, turns what was heard into words; the halves may stand on two machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from asr import cutting
from asr.cutting import Cut, CutterState
from asr.features import spectral
from asr.features.spectral import FeatureConfig, FramerState
from asr.segments import SegmentConfig, Span

BLOCK = 2560  # samples, 160 ms: five frames of the speech detector
MOST = 8 * BLOCK  # samples of an utterance made into frames in one block: after a cut the rest comes without a jam
AHEAD_S = 0.4  # silence after which an open utterance is given as it may end; more: less work in vain, later finals

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Heard:
    """What one block brought: first the utterances that ended in it, then the one that is open after it."""

    cuts: tuple[Cut, ...]
    open_start: int | None = None  # its first sample in the stream; None: no utterance is open
    frames: Tensor = field(default_factory=lambda: torch.zeros(0, 0))  # (T, F), its fresh feature frames
    ahead: Cut | None = None  # it, as it will be cut if the silence goes on that has lasted AHEAD_S; given once


@dataclass(frozen=True, eq=False)
class HearingState:
    """What is kept of a stream: at most its open utterance's samples, and little else. Pickles."""

    cutter: CutterState
    tail: Samples = field(default_factory=lambda: np.zeros(0, np.float32))  # less than a block
    open_start: int | None = None
    taken: int = 0  # samples of the open utterance that its frames have been made of
    framer: FramerState | None = None
    ahead: Span | None = None  # the last that was given

    @property
    def samples(self) -> int:
        """How many the stream has had."""
        return self.cutter.samples + len(self.tail)


Hearing = tuple[HearingState, list[Heard]]


def start() -> HearingState:
    """A stream before its first sample."""
    return HearingState(cutting.start())


def step_many(
    features: FeatureConfig,
    segments: SegmentConfig,
    streams: Sequence[tuple[HearingState, Samples]],
    *,
    ahead_s: float = AHEAD_S,
) -> list[Hearing]:
    """Take each stream's (S,) float32 at 16 kHz, S may be 0; give its whole blocks, the detector over all together."""
    states = [replace(state, tail=np.concatenate([state.tail, samples])) for state, samples in streams]
    heard: list[list[Heard]] = [[] for _ in states]
    while ready := [i for i, state in enumerate(states) if len(state.tail) >= BLOCK]:
        given = [(states[i].cutter, states[i].tail[:BLOCK]) for i in ready]
        for i, (cutter, cuts) in zip(ready, cutting.step_many(segments, given), strict=True):
            states[i], block = _listen(features, replace(states[i], tail=states[i].tail[BLOCK:]), cutter, cuts)
            states[i], block = _look_ahead(segments, states[i], block, ahead_s)
            heard[i].append(block)
    return [(replace(state, tail=state.tail.copy()), blocks) for state, blocks in zip(states, heard, strict=True)]


def finish(segments: SegmentConfig, state: HearingState) -> Heard:
    """The stream has ended: its last utterance, if one was open."""
    cutter, cuts = cutting.step(segments, state.cutter, state.tail)
    return Heard((*cuts, *cutting.finish(segments, cutter)))


def _listen(
    features: FeatureConfig, state: HearingState, cutter: CutterState, cuts: list[Cut]
) -> tuple[HearingState, Heard]:
    """After a block has been through the cutter: fresh frames of the utterance that is open now."""
    if cutter.open_start is None:
        return HearingState(cutter, state.tail), Heard(tuple(cuts))
    if cuts or state.framer is None:  # one that has just begun
        state = HearingState(cutter, state.tail, cutter.open_start, 0, spectral.start(features))
    assert state.framer is not None
    fresh = cutter.open_samples[state.taken : state.taken + MOST]
    framer, frames = spectral.step(features, state.framer, torch.from_numpy(fresh))
    state = replace(state, cutter=cutter, taken=state.taken + len(fresh), framer=framer)
    return state, Heard(tuple(cuts), state.open_start, frames)


def _look_ahead(
    segments: SegmentConfig, state: HearingState, block: Heard, ahead_s: float
) -> tuple[HearingState, Heard]:
    """With the open utterance as it may end, where that is new."""
    ahead = cutting.expected(segments, state.cutter, ahead_s)
    if ahead is None or ahead.span == state.ahead:
        return state, block
    return replace(state, ahead=ahead.span), replace(block, ahead=ahead)
