"""The first half of a live stream, without the network: samples in; utterances that ended and fresh frames out.

Pushes of any size are cut into blocks on a grid counted from the stream's first sample, so what is heard does not
depend on them. The second half, `asr.live`, turns what was heard into words; the halves may stand on two machines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from asr import cutting
from asr.audio.given import floats
from asr.audio.reader import LOUDEST
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

    @property
    def aheads(self) -> tuple[Cut, ...]:
        """`ahead`, where there is one."""
        return () if self.ahead is None else (self.ahead,)


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
    streams: Sequence[tuple[HearingState, ArrayLike]],
    *,
    ahead_s: float = AHEAD_S,
) -> list[Hearing]:
    """Take each stream's (S,) floats at 16 kHz, S may be 0; give its whole blocks, the detector over all together.

    Floats of any width are taken as float32, and lists and CPU tensors as arrays. Whole numbers are not: whether 1 is
    full scale or 1/32768 of it cannot be told. A sample that is no number is silence, one far beyond full scale is held
    there: what a driver's hiccup says must not stay in a recurrent state for ever.

    Raises AudioError for whole numbers and for what is not one row of numbers.
    """
    states = [replace(state, tail=np.concatenate([state.tail, _sane(samples)])) for state, samples in streams]
    heard: list[list[Heard]] = [[] for _ in states]
    while ready := [i for i, state in enumerate(states) if len(state.tail) >= BLOCK]:
        given = [(states[i].cutter, states[i].tail[:BLOCK]) for i in ready]
        moved = [replace(states[i], tail=states[i].tail[BLOCK:]) for i in ready]
        listened = _listen(features, moved, cutting.step_many(segments, given))
        for i, (state, block) in zip(ready, listened, strict=True):
            states[i], block = _look_ahead(segments, state, block, ahead_s)
            heard[i].append(block)
    return [(replace(state, tail=state.tail.copy()), blocks) for state, blocks in zip(states, heard, strict=True)]


def _sane(samples: ArrayLike) -> Samples:
    values = floats(samples, "pushed samples")
    if not np.abs(values).max(initial=0.0) <= LOUDEST:  # or it is no number
        values = np.clip(np.nan_to_num(values), -LOUDEST, LOUDEST)
    return values.astype(np.float32, copy=False)


def finish(segments: SegmentConfig, state: HearingState) -> Heard:
    """The stream has ended: its last utterance, if one was open."""
    cutter, cuts = cutting.step(segments, state.cutter, state.tail)
    return Heard((*cuts, *cutting.finish(segments, cutter)))


def _listen(
    features: FeatureConfig, states: Sequence[HearingState], cut: Sequence[tuple[CutterState, list[Cut]]]
) -> list[tuple[HearingState, Heard]]:
    """After a block of each has been through the cutter: fresh frames of the utterances that are open now, together."""
    found = [
        (HearingState(cutter, state.tail), Heard(tuple(cuts)))
        for state, (cutter, cuts) in zip(states, cut, strict=True)
    ]
    going = [i for i, (cutter, _) in enumerate(cut) if cutter.open_start is not None]
    opened = [_opened(features, states[i], *cut[i]) for i in going]
    fresh = [x.cutter.open_samples[x.taken : x.taken + MOST] for x in opened]
    given = [(_framer(x), torch.from_numpy(samples)) for x, samples in zip(opened, fresh, strict=True)]
    for i, state, samples, (framer, frames) in zip(
        going, opened, fresh, spectral.step_many(features, given), strict=True
    ):
        state = replace(state, taken=state.taken + len(samples), framer=framer)
        found[i] = state, replace(found[i][1], open_start=state.open_start, frames=frames)
    return found


def _opened(features: FeatureConfig, state: HearingState, cutter: CutterState, cuts: list[Cut]) -> HearingState:
    """With the cutter as it is now, and from the start where its utterance has just begun."""
    if cuts or state.framer is None:
        return HearingState(cutter, state.tail, cutter.open_start, 0, spectral.start(features))
    return replace(state, cutter=cutter)


def _framer(state: HearingState) -> FramerState:
    assert state.framer is not None
    return state.framer


def _look_ahead(
    segments: SegmentConfig, state: HearingState, block: Heard, ahead_s: float
) -> tuple[HearingState, Heard]:
    """With the open utterance as it may end, where that is new."""
    ahead = cutting.expected(segments, state.cutter, ahead_s)
    if ahead is None or ahead.span == state.ahead:
        return state, block
    return replace(state, ahead=ahead.span), replace(block, ahead=ahead)
