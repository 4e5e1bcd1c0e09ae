"""Where an utterance begins and ends: one rule, live and for files, on the speech detector's word alone.

Time is counted in samples at 16 kHz and parted into spans: each sample lies in exactly one utterance or in declared
silence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.audio.detector import FRAME

_RATE = 16_000
Probabilities = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True)
class SegmentConfig:
    """The thresholds of the rule, each with what it does."""

    onset: float = (
        0.5  # a frame at least this probable may begin speech; higher: fewer false starts, more missed soft ones
    )
    offset: float = 0.35  # a frame below this is not speech; lower: utterances hold together through soft passages
    shortest_s: float = 0.06  # this much above `onset` in a row begins an utterance; higher: clicks and coughs pass by
    silence_s: float = 0.7  # this much below `offset` ends it; lower: finals come sooner and sentences fall apart
    longest_s: float = 20.0  # then it is cut at the least speech-like place of its second half; bounds memory and delay
    before_s: float = 0.3  # kept before the first speech, so that soft first sounds are not lost
    after_s: float = 0.3  # kept after the last speech, at most `silence_s`

    @property
    def shortest(self) -> int:
        """In frames, like the three below it."""
        return max(1, round(self.shortest_s * _RATE / FRAME))

    @property
    def silence(self) -> int:
        """Frames of silence that end an utterance."""
        return max(1, round(self.silence_s * _RATE / FRAME))

    @property
    def longest(self) -> int:
        """Frames of the longest utterance."""
        return int(self.longest_s * _RATE / FRAME)


@dataclass(frozen=True)
class Span:
    """Samples [start, end): an utterance, or silence."""

    start: int
    end: int
    speech: bool


@dataclass(frozen=True, eq=False)
class SegmentState:
    """What the rule remembers; never more than the longest utterance's probabilities."""

    frames: int = 0  # seen so far
    decided: int = 0  # samples up to here lie in spans already given
    run: int = 0  # frames in a row above `onset`, while no utterance is open
    open_start: int | None = None  # first sample of the open utterance; once set, it stays until the end is found
    last_speech: int = 0  # frame after the last one of speech in the open utterance
    goes_on_until: int = 0  # frame up to which, behind a cut, speech is what it was inside the utterance
    heard: tuple[float, ...] = ()  # probabilities of the run of speech and all after it

    def needed_from(self, config: SegmentConfig) -> int:
        """The earliest sample that an utterance still to be given may hold: older ones can be forgotten."""
        if self.open_start is not None:
            return self.open_start
        return max(self.decided, (self.frames - self.run) * FRAME - int(config.before_s * _RATE))


def start() -> SegmentState:
    """A stream before its first frame."""
    return SegmentState()


def step(
    config: SegmentConfig, state: SegmentState, probabilities: Probabilities | Sequence[float]
) -> tuple[SegmentState, list[Span]]:
    """Every span whose end is decided by these frames. An open utterance shows in the state's `open_start`."""
    spans: list[Span] = []
    for probability in probabilities:
        state = _frame(config, state, float(probability), spans)
    return state, spans


def expected(config: SegmentConfig, state: SegmentState, silence_s: float) -> Span | None:
    """The open utterance as it will end if the silence goes on that has lasted `silence_s` and to its last sample."""
    silence = (state.frames - state.last_speech) * FRAME / _RATE
    if state.open_start is None or silence < max(silence_s, config.after_s):
        return None
    return Span(state.open_start, _end_of_speech(config, state), speech=True)


def finish(config: SegmentConfig, state: SegmentState, samples: int) -> list[Span]:
    """The last spans of a stream of so many samples: whatever speech is still open ends here."""
    spans: list[Span] = []
    if state.open_start is None and state.run:
        state = _open(config, state)
    if state.open_start is not None:
        state = _close(config, state, min(samples, _end_of_speech(config, state)), spans)
    if state.decided < samples:
        spans.append(Span(state.decided, samples, speech=False))
    return spans


def _frame(config: SegmentConfig, state: SegmentState, probability: float, spans: list[Span]) -> SegmentState:
    frames = state.frames + 1
    if state.open_start is None and probability >= config.offset and state.frames < state.goes_on_until:
        state = _open(config, state)
    if state.open_start is None:
        run = state.run + 1 if probability >= config.onset else 0
        heard = (*state.heard, probability) if run else ()
        state = SegmentState(frames, state.decided, run, goes_on_until=state.goes_on_until, heard=heard)
        return _open(config, state) if run >= config.shortest else state
    last = frames if probability >= config.offset else state.last_speech
    state = SegmentState(
        frames=frames,
        decided=state.decided,
        open_start=state.open_start,
        last_speech=last,
        heard=(*state.heard, probability),
    )
    if frames - last >= config.silence:
        return _close(config, state, _end_of_speech(config, state), spans)
    if frames * FRAME - (state.open_start or 0) >= config.longest * FRAME:
        return _cut(config, state, spans)
    return state


def _open(config: SegmentConfig, state: SegmentState) -> SegmentState:
    """Begin an utterance with the run of speech just heard."""
    first = (state.frames - state.run) * FRAME
    return SegmentState(
        frames=state.frames,
        decided=state.decided,
        open_start=max(state.decided, first - int(config.before_s * _RATE)),
        last_speech=state.frames,
        heard=state.heard,
    )


def _end_of_speech(config: SegmentConfig, state: SegmentState) -> int:
    return min(state.frames * FRAME, state.last_speech * FRAME + int(config.after_s * _RATE))


def _close(config: SegmentConfig, state: SegmentState, end: int, spans: list[Span]) -> SegmentState:
    """Give the silence before the open utterance and the utterance itself, up to `end`."""
    assert state.open_start is not None
    if state.decided < state.open_start:
        spans.append(Span(state.decided, state.open_start, speech=False))
    spans.append(Span(state.open_start, end, speech=True))
    return SegmentState(frames=state.frames, decided=end)


def _cut(config: SegmentConfig, state: SegmentState, spans: list[Span]) -> SegmentState:
    """End an utterance that has grown too long where it is least like speech, and go through the rest of it again."""
    until = state.last_speech + config.silence
    later = state.heard[len(state.heard) // 2 :]
    smooth = np.convolve(np.pad(later, 2, mode="edge"), np.ones(5) / 5, mode="valid")
    rest = later[int(smooth.argmin()) :]
    place = state.frames - len(rest)
    state = _close(config, state, place * FRAME, spans)
    state = SegmentState(frames=place, decided=state.decided, goes_on_until=until)
    for probability in rest:
        state = _frame(config, state, probability, spans)
    return state
