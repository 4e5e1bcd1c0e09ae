"""Words while they are spoken: samples in, events out, by pure steps. Two passes.

Pass one runs windows of the latency-controlled encoder over the open utterance and decodes greedily: partials. Pass
two is the full pass over the utterance's own samples once its end is decided: the final, the same that `transcribe`
gives. The first half of a step, without the network, is `asr.hearing`; the second is `read_many` here.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from asr import hearing
from asr.cutting import Cut
from asr.decoding.greedy import Token, decode_greedily, words_of
from asr.decoding.words import Utterance
from asr.events import Event, Final, Partial
from asr.features.spectral import FeatureConfig
from asr.hearing import BLOCK as BLOCK  # the grid of blocks, for those who look at a stream from outside
from asr.hearing import Heard, HearingState, Samples
from asr.model import latency
from asr.model.acoustic import AcousticModel
from asr.model.latency import LatencyConfig, LatencyState
from asr.segments import SegmentConfig

RATE = 16_000


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
    """Pass one over the utterance that is open: what its frames have said so far."""

    start: int  # its first sample in the stream
    encoder: LatencyState
    frames: int = 0  # decoded so far
    last_id: int = 0  # of the last frame: a token that goes on across a border is one token
    tokens: tuple[Token, ...] = ()


@dataclass(frozen=True, eq=False)
class ReadingState:
    """What the second half remembers of a stream. Pickles; does not grow with time."""

    stream: str
    utterance: int = 0
    seq: int = 0
    open: OpenUtterance | None = None
    said: str = ""  # the last partial's text


@dataclass(frozen=True, eq=False)
class LiveState:
    """A stream's whole memory: of both halves. Pickles; does not grow with time."""

    hearing: HearingState
    reading: ReadingState

    @property
    def open(self) -> OpenUtterance | None:
        """The utterance that is being spoken."""
        return self.reading.open

    @property
    def said(self) -> str:
        """Its last partial's text."""
        return self.reading.said


Step = tuple[LiveState, list[Event]]
Reading = tuple[ReadingState, list[Event]]


def start(stream: str = "") -> LiveState:
    """A stream before its first sample."""
    return LiveState(hearing.start(), ReadingState(stream))


def step(setup: LiveSetup, state: LiveState, samples: Samples) -> Step:
    """Take (S,) float32 at 16 kHz, S may be 0; give what there is to say."""
    return step_many(setup, [(state, samples)])[0]


def finish(setup: LiveSetup, state: LiveState) -> list[Event]:
    """The stream has ended: the last utterance's final. Nothing that was pushed is left out."""
    return read_many(setup, [(state.reading, [hearing.finish(setup.segments, state.hearing)])])[0][1]


def step_many(setup: LiveSetup, streams: Sequence[tuple[LiveState, Samples]]) -> list[Step]:
    """`step` of many streams, the network's windows of all of them together; each stream gets what it gets alone."""
    given = [(state.hearing, samples) for state, samples in streams]
    listened = hearing.step_many(setup.features, setup.segments, given)
    blocks = [(state.reading, heard) for (state, _), (_, heard) in zip(streams, listened, strict=True)]
    read = read_many(setup, blocks)
    return [(LiveState(ears, words), said) for (ears, _), (words, said) in zip(listened, read, strict=True)]


def read_many(setup: LiveSetup, streams: Sequence[tuple[ReadingState, Sequence[Heard]]]) -> list[Reading]:
    """The second half: what was heard of many streams, block by block, becomes events."""
    states: list[ReadingState] = [state for state, _ in streams]
    events: list[list[Event]] = [[] for _ in states]
    for turn in range(max((len(heard) for _, heard in streams), default=0)):
        blocks = {i: heard[turn] for i, (_, heard) in enumerate(streams) if turn < len(heard)}
        for i, block in blocks.items():
            states[i], said = _finals(setup, states[i], block.cuts)
            events[i] += said
        _encode(setup, states, events, {i: block for i, block in blocks.items() if block.open_start is not None})
    return list(zip(states, events, strict=True))


def _finals(setup: LiveSetup, state: ReadingState, cuts: Sequence[Cut]) -> Reading:
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


def _encode(setup: LiveSetup, states: list[ReadingState], events: list[list[Event]], blocks: dict[int, Heard]) -> None:
    """Pass one over the fresh frames of every open utterance, all windows together; replaces entries of `states`."""
    device = setup.model.mean.device
    opens: list[OpenUtterance] = []
    for i, block in blocks.items():
        assert block.open_start is not None
        opens.append(states[i].open or OpenUtterance(block.open_start, latency.start(setup.model)))
    given = [(x.encoder, block.frames.to(device)) for x, block in zip(opens, blocks.values(), strict=True)]
    for i, utterance, (encoder, log_probs) in zip(
        blocks, opens, latency.step_many(setup.model, setup.latency, given, (setup.head,)), strict=True
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


def _partial(setup: LiveSetup, state: ReadingState) -> Reading:
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
        self.state = start(self.state.reading.stream)
        return events
