"""Words while they are spoken: samples in, events out, by pure steps. Two passes.

Pass one runs windows of the latency-controlled encoder over the open utterance and decodes greedily: partials. Pass
two is the full pass
over the utterance's own samples once its end is decided: the final, the same that `transcribe` gives. Pushes of any
size are cut into
blocks on a grid counted from the stream's first sample, so events do not depend on them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from asr import cutting
from asr.cutting import Cut, CutterState
from asr.decoding.greedy import Token, decode_greedily, words_of
from asr.decoding.words import Utterance
from asr.events import Event, Final, Partial
from asr.features import spectral
from asr.features.spectral import FeatureConfig, FramerState
from asr.model import latency
from asr.model.acoustic import AcousticModel
from asr.model.latency import LatencyConfig, LatencyState
from asr.segments import SegmentConfig

RATE = 16_000
BLOCK = 2560  # samples, 160 ms: five frames of the speech detector

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]


@dataclass(frozen=True, eq=False)
class LiveSetup:
    """What all streams share and none changes."""

    model: AcousticModel
    features: FeatureConfig
    head: str  # of pass one: one that writes text
    pieces: tuple[str, ...]
    latency: LatencyConfig
    segments: SegmentConfig
    finals: Callable[[Sequence[Cut]], list[Utterance]]  # pass two

    @property
    def frame_s(self) -> float:
        """Seconds from one output frame to the next."""
        return self.features.hop * self.model.config.subsampling / self.features.sample_rate


@dataclass(frozen=True, eq=False)
class OpenUtterance:
    """Pass one over the utterance that is open: how many of its samples were taken, and what they said."""

    start: int
    taken: int
    framer: FramerState
    encoder: LatencyState
    frames: int = 0  # decoded so far
    last_id: int = 0  # of the last frame: a token that goes on across a border is one token
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, eq=False)
class LiveState:
    """A stream's whole memory. Pickles; does not grow with time."""

    stream: str
    cutter: CutterState
    tail: Samples = field(default_factory=lambda: np.zeros(0, np.float32))  # less than a block
    utterance: int = 0
    seq: int = 0
    open: OpenUtterance | None = None
    said: str = ""  # the last partial's text


Step = tuple[LiveState, list[Event]]


def start(stream: str = "") -> LiveState:
    """A stream before its first sample."""
    return LiveState(stream, cutting.start())


def step(setup: LiveSetup, state: LiveState, samples: Samples) -> Step:
    """Take (S,) float32 at 16 kHz, S may be 0; give what there is to say."""
    return step_many(setup, [(state, samples)])[0]


def finish(setup: LiveSetup, state: LiveState) -> list[Event]:
    """The stream has ended: the last utterance's final. Nothing that was pushed is left out."""
    cutter, cuts = cutting.step(setup.segments, state.cutter, state.tail)
    _, events = _finals(setup, state, [*cuts, *cutting.finish(setup.segments, cutter)])
    return events


def step_many(setup: LiveSetup, streams: Sequence[tuple[LiveState, Samples]]) -> list[Step]:
    """`step` of many streams, the network's windows of all of them together; each stream gets what it gets alone."""
    states = [replace(state, tail=np.concatenate([state.tail, samples])) for state, samples in streams]
    events: list[list[Event]] = [[] for _ in states]
    while ready := [i for i, state in enumerate(states) if len(state.tail) >= BLOCK]:
        given = [(states[i].cutter, states[i].tail[:BLOCK]) for i in ready]
        for i, (cutter, cuts) in zip(ready, cutting.step_many(setup.segments, given), strict=True):
            states[i], said = _listen(setup, states[i], cutter, cuts)
            events[i] += said
        _encode(setup, states, events, [i for i in ready if states[i].open is not None])
    return [(replace(state, tail=state.tail.copy()), said) for state, said in zip(states, events, strict=True)]


def _listen(setup: LiveSetup, state: LiveState, cutter: CutterState, cuts: list[Cut]) -> Step:
    """After a block has been through the cutter: finals of utterances that end in it, and the one open after it."""
    state, events = _finals(setup, replace(state, cutter=cutter, tail=state.tail[BLOCK:]), cuts)
    if cutter.open_start is not None and state.open is None:
        begin = OpenUtterance(cutter.open_start, 0, spectral.start(setup.features), latency.start(setup.model))
        state = replace(state, open=begin)
    return state, events


def _finals(setup: LiveSetup, state: LiveState, cuts: list[Cut]) -> Step:
    events: list[Event] = []
    for utterance in setup.finals(cuts) if cuts else []:
        if utterance.words or state.said:  # an empty final takes back a partial; without one there is nothing to say
            events.append(
                Final(
                    state.stream,
                    state.seq,
                    state.utterance,
                    utterance.text,
                    utterance.start_s,
                    utterance.end_s,
                    utterance.words,
                    utterance.alternatives,
                )
            )
            state = replace(state, seq=state.seq + 1)
        state = replace(state, utterance=state.utterance + 1, open=None, said="")
    return state, events


def _encode(setup: LiveSetup, states: list[LiveState], events: list[list[Event]], chosen: list[int]) -> None:
    """Pass one over the new samples of every open utterance, all windows together; entries of `chosen` are replaced."""
    given = []
    opens: list[OpenUtterance] = []
    for i in chosen:
        utterance = states[i].open
        assert utterance is not None
        fresh = states[i].cutter.open_samples[utterance.taken :]
        framer, frames = spectral.step(setup.features, utterance.framer, torch.from_numpy(fresh))
        opens.append(replace(utterance, framer=framer, taken=utterance.taken + len(fresh)))
        given.append((utterance.encoder, frames.to(setup.model.mean.device)))
    for i, utterance, (encoder, log_probs) in zip(
        chosen, opens, latency.step_many(setup.model, setup.latency, given, (setup.head,)), strict=True
    ):
        heard = _extended(replace(utterance, encoder=encoder), log_probs[setup.head].cpu())
        states[i], said = _partial(setup, replace(states[i], open=heard))
        events[i] += said


def _extended(utterance: OpenUtterance, log_probs: torch.Tensor) -> OpenUtterance:
    """More frames decoded greedily: (T', V)."""
    if not len(log_probs):
        return utterance
    found = decode_greedily(log_probs[None], torch.tensor([len(log_probs)]))[0]
    tokens = [replace(x, start=x.start + utterance.frames, end=x.end + utterance.frames) for x in found]
    known = list(utterance.tokens)
    if tokens and known and utterance.last_id == tokens[0].id and tokens[0].start == utterance.frames:
        known[-1] = replace(known[-1], end=tokens.pop(0).end)
    return replace(
        utterance,
        frames=utterance.frames + len(log_probs),
        last_id=int(log_probs[-1].argmax()),
        tokens=(*known, *tokens),
    )


def _partial(setup: LiveSetup, state: LiveState) -> Step:
    """A partial, if there is more to say than before. Decoded frames stay; only the last word may still grow."""
    utterance = state.open
    assert utterance is not None
    start_s, now_s = utterance.start / RATE, utterance.frames * setup.frame_s
    words = words_of(utterance.tokens, setup.pieces, frame_s=setup.frame_s, end_s=now_s)
    text = " ".join(word.text for word in words)
    if text == state.said:
        return state, []
    placed = tuple(replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s) for word in words)
    event = Partial(state.stream, state.seq, state.utterance, text, max(0, text.rfind(" ")), placed)
    return replace(state, seq=state.seq + 1, said=text), [event]


class Live:
    """One stream, for those who want an object: push samples, read events, finish."""

    def __init__(self, setup: LiveSetup, stream: str = "") -> None:
        self._setup, self.state = setup, start(stream)

    def push(self, samples: Samples) -> list[Event]:
        """(S,) float32 at 16 kHz -> what there is to say now."""
        self.state, events = step(self._setup, self.state, samples)
        return events

    def finish(self) -> list[Event]:
        """The last words."""
        events = finish(self._setup, self.state)
        self.state = start(self.state.stream)
        return events
