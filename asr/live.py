"""Words while they are spoken: samples in, events out, by pure steps. Two passes.

Pass one runs windows of the latency-controlled encoder over the open utterance and decodes as far as it goes:
partials. Pass two is the full pass over the utterance's own samples: the final, the same that `transcribe` gives. It
is begun beside everything else in the silence that may end an utterance, before that is sure: where speech goes on it
was in vain, else the final is there when the end is decided. The first half of a step, without the network, is
`asr.hearing`; the second is `read_many` here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike

from asr import hearing
from asr.decoding.partials import Growing, Partials
from asr.decoding.words import Utterance
from asr.events import Event, Final, Partial
from asr.features.spectral import FeatureConfig
from asr.finals import Finals
from asr.hearing import BLOCK as BLOCK  # the grid of blocks, for those who look at a stream from outside
from asr.hearing import Heard, HearingState
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
    partials: Partials  # pass one
    latency: LatencyConfig
    segments: SegmentConfig
    finals: Finals  # pass two
    ahead_s: float = hearing.AHEAD_S  # silence after which pass two begins; inf: once the utterance has ended


@dataclass(frozen=True, eq=False)
class OpenUtterance:
    """Pass one over the utterance that is open: what its frames have said so far."""

    start: int  # its first sample in the stream
    encoder: LatencyState
    heard: Growing


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


def step(setup: LiveSetup, state: LiveState, samples: ArrayLike) -> Step:
    """Take (S,) floats at 16 kHz, S may be 0; give what there is to say. Raises AudioError as `hearing.step_many`."""
    return step_many(setup, [(state, samples)])[0]


def finish(setup: LiveSetup, state: LiveState) -> list[Event]:
    """The stream has ended: the last utterance's final. Nothing that was pushed is left out."""
    return read_many(setup, [(state.reading, [hearing.finish(setup.segments, state.hearing)])])[0][1]


def step_many(setup: LiveSetup, streams: Sequence[tuple[LiveState, ArrayLike]]) -> list[Step]:
    """`step` of many streams, the network's windows of all of them together; each stream gets what it gets alone."""
    given = [(state.hearing, samples) for state, samples in streams]
    listened = hearing.step_many(setup.features, setup.segments, given, ahead_s=setup.ahead_s)
    blocks = [(state.reading, heard) for (state, _), (_, heard) in zip(streams, listened, strict=True)]
    read = read_many(setup, blocks)
    return [(LiveState(ears, words), said) for (ears, _), (words, said) in zip(listened, read, strict=True)]


def read_many(setup: LiveSetup, streams: Sequence[tuple[ReadingState, Sequence[Heard]]]) -> list[Reading]:
    """The second half: what was heard of many streams, block by block, becomes events."""
    states: list[ReadingState] = [state for state, _ in streams]
    events: list[list[Event]] = [[] for _ in states]
    for turn in range(max((len(heard) for _, heard in streams), default=0)):
        blocks = {i: heard[turn] for i, (_, heard) in enumerate(streams) if turn < len(heard)}
        ended = [i for i, block in blocks.items() if block.cuts]
        setup.finals.begin([cut for block in blocks.values() for cut in (*block.cuts, *block.aheads)])
        _encode(setup, states, events, {i: block for i, block in blocks.items() if i not in ended})
        utterances = iter(setup.finals.fetch([cut for i in ended for cut in blocks[i].cuts]))
        for i in ended:
            states[i], said = _finals(setup, states[i], [next(utterances) for _ in blocks[i].cuts])
            events[i] += said
        _encode(setup, states, events, {i: blocks[i] for i in ended})
    return list(zip(states, events, strict=True))


def _finals(setup: LiveSetup, state: ReadingState, utterances: Sequence[Utterance]) -> Reading:
    events: list[Event] = []
    for utterance in utterances:
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
        if state.open is not None:
            setup.partials.forget(state.open.heard)
        state = replace(state, utterance=state.utterance + 1, open=None, said="")
    return state, events


def _encode(setup: LiveSetup, states: list[ReadingState], events: list[list[Event]], blocks: dict[int, Heard]) -> None:
    """Pass one over the fresh frames of open utterances, all windows together; replaces entries of `states`."""
    blocks = {i: block for i, block in blocks.items() if block.open_start is not None}
    device, head = setup.model.mean.device, setup.partials.head
    opens: list[OpenUtterance] = []
    for i, block in blocks.items():
        assert block.open_start is not None
        begin = OpenUtterance(block.open_start, latency.start(setup.model), setup.partials.start())
        opens.append(states[i].open or begin)
    given = [(x.encoder, block.frames.to(device)) for x, block in zip(opens, blocks.values(), strict=True)]
    encoded = latency.step_many(setup.model, setup.latency, given, (head,))
    for i, utterance, (encoder, log_probs) in zip(blocks, opens, encoded, strict=True):
        heard = setup.partials.extend(utterance.heard, log_probs[head].cpu())
        states[i], said = _partial(replace(states[i], open=replace(utterance, encoder=encoder, heard=heard)))
        events[i] += said


def _partial(state: ReadingState) -> Reading:
    """A partial, if there is other to say than before."""
    assert state.open is not None
    heard, start_s = state.open.heard, state.open.start / RATE
    text = " ".join(word.text for word in heard.words)
    if text == state.said:
        return state, []
    placed = tuple(replace(x, start_s=x.start_s + start_s, end_s=x.end_s + start_s) for x in heard.words)
    stable = len(" ".join(word.text for word in heard.words[: heard.stable]))
    event = Partial(state.stream, state.seq, state.utterance, text, stable, placed)
    return replace(state, seq=state.seq + 1, said=text), [event]


class Live:
    """One stream, for those who want an object: push samples, read events, finish."""

    def __init__(self, setup: LiveSetup, stream: str = "") -> None:
        self._setup, self.state = setup, start(stream)

    def push(self, samples: ArrayLike) -> list[Event]:
        """(S,) floats at 16 kHz, within -1 to 1, as an array, list or CPU tensor -> what there is to say now.

        Raises AudioError for whole numbers and for other shapes; the stream is then as if nothing had been pushed.
        """
        self.state, events = step(self._setup, self.state, samples)
        return events

    def finish(self) -> list[Event]:
        """The last words."""
        events = finish(self._setup, self.state)
        self.state = start(self.state.reading.stream)
        return events
