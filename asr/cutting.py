"""Samples in, utterances out: the speech detector and the rule of `asr.segments` over a stream, with what they keep."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr import segments
from asr.audio import detector
from asr.audio.detector import DetectorState
from asr.segments import SegmentConfig, SegmentState, Span

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class Cut:
    """An utterance: where it lies in the stream, and its own samples."""

    span: Span
    samples: Samples


@dataclass(frozen=True, eq=False)
class CutterState:
    """Both parts' states, and the samples from `kept_from` on that an utterance may still need."""

    detector: DetectorState
    segments: SegmentState
    kept: Samples
    kept_from: int

    @property
    def samples(self) -> int:
        """How many the stream has had."""
        return self.kept_from + len(self.kept)

    @property
    def open_start(self) -> int | None:
        """The first sample of the utterance that is open now, if one is."""
        return self.segments.open_start

    @property
    def open_samples(self) -> Samples:
        """The open utterance's samples so far; none where none is open."""
        return self.kept[:0] if self.open_start is None else self.kept[self.open_start - self.kept_from :]


def start() -> CutterState:
    """A stream before its first sample."""
    return CutterState(detector.start(), segments.start(), np.zeros(0, np.float32), 0)


def step(config: SegmentConfig, state: CutterState, chunk: Samples) -> tuple[CutterState, list[Cut]]:
    """Every utterance whose end is decided now. chunk: (S,), S may be 0."""
    return step_many(config, [(state, chunk)])[0]


def step_many(
    config: SegmentConfig, streams: Sequence[tuple[CutterState, Samples]]
) -> list[tuple[CutterState, list[Cut]]]:
    """`step` of many streams, the speech detector's network over all of them together."""
    listened = detector.step_many([(state.detector, chunk) for state, chunk in streams])
    return [_cut(config, *stream, *heard) for stream, heard in zip(streams, listened, strict=True)]


def _cut(
    config: SegmentConfig, state: CutterState, chunk: Samples, listening: DetectorState, probabilities: Samples
) -> tuple[CutterState, list[Cut]]:
    segmenting, spans = segments.step(config, state.segments, probabilities)
    kept = np.concatenate([state.kept, chunk])
    cuts = _cuts(spans, kept, state.kept_from)
    forget = max(0, segmenting.needed_from(config) - state.kept_from)
    return CutterState(listening, segmenting, kept[forget:].copy(), state.kept_from + forget), cuts


def expected(config: SegmentConfig, state: CutterState, silence_s: float) -> Cut | None:
    """The open utterance as it will be cut if the silence, of `silence_s` or more by now, goes on; else None."""
    span = segments.expected(config, state.segments, silence_s)
    return None if span is None else _cuts([span], state.kept, state.kept_from)[0]


def finish(config: SegmentConfig, state: CutterState) -> list[Cut]:
    """The last utterance, if one was open."""
    segmenting, spans = segments.step(config, state.segments, detector.finish(state.detector))
    spans += segments.finish(config, segmenting, state.samples)
    return _cuts(spans, state.kept, state.kept_from)


def cut_whole(config: SegmentConfig, samples: Samples) -> list[Cut]:
    """All utterances of a recording that is there as a whole, (S,)."""
    state, cuts = step(config, start(), samples)
    return cuts + finish(config, state)


def _cuts(spans: list[Span], kept: Samples, kept_from: int) -> list[Cut]:
    return [Cut(span, kept[span.start - kept_from : span.end - kept_from].copy()) for span in spans if span.speech]
