"""The front door: load a model, turn recordings into transcripts.

recognizer = Recognizer.load()
print(recognizer.transcribe("talk.mp3").text)
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain, takewhile
from pathlib import Path
from typing import TypeVar

from asr import cutting
from asr.audio.parts import Part
from asr.audio.reader import SAMPLE_RATE, Source, name_of, read_blocks
from asr.cutting import Cut
from asr.decoding.decoder import BeamReader, GreedyReader, make_decoder
from asr.decoding.hotwords import Hotword
from asr.decoding.partials import BeamPartials, GreedyPartials, Partials
from asr.decoding.words import Alternative, Transcript, Utterance, Word
from asr.errors import AsrError, AudioError, CheckpointError, ConfigError
from asr.finals import Finals
from asr.live import Live, LiveSetup
from asr.model.bundle import Bundle, load_bundle
from asr.model.engine import Engine, LogProbs, Samples
from asr.model.latency import LatencyConfig
from asr.segments import SegmentConfig

MODELS = Path(__file__).parent / "models"
_TOGETHER = 32  # utterances of one recording that a GPU takes at once


class Recognizer:
    """A loaded model. Its methods may be called from several threads; nothing is remembered between calls."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        device: str = "auto",
        precision: str = "auto",
        decoding: str = "auto",
        hotwords: Iterable[Hotword] = (),
    ) -> None:
        self.bundle = bundle
        self.engine = Engine(bundle, device=device, precision=precision)
        self.segments = SegmentConfig()
        self.decoder = make_decoder(bundle, decoding, tuple(hotwords))
        self._finals = Finals(self._in_thread, self.engine.pool, together=not self.engine.alone)

    @classmethod
    def load(
        cls,
        model: str | Path = "small",
        *,
        device: str = "auto",
        precision: str = "auto",
        decoding: str = "auto",
        hotwords: Iterable[Hotword] = (),
    ) -> "Recognizer":
        """A model by its name in the package ("small") or its folder. Raises CheckpointError, ConfigError.

        `decoding`: "greedy", "beam" (lexicon and language model), or "auto": beam where the model brings them.
        `hotwords`: phrases to expect, by the beam only; words that the lexicon lacks get a spelling.
        """
        bundle = load_bundle(find_model(model))
        return cls(bundle, device=device, precision=precision, decoding=decoding, hotwords=hotwords)

    @property
    def frame_s(self) -> float:
        """Seconds from one output frame to the next."""
        return self.engine.frame_s

    def log_probs(self, utterances: Sequence[Samples], heads: tuple[str, ...] | None = None) -> list[LogProbs]:
        """Each (S,) -> head -> (T', V) log-probabilities; all heads where none are named."""
        return self.engine.log_probs(utterances, heads or tuple(self.bundle.model.config.heads))

    def log_probs_of_recording(self, samples: Samples, heads: tuple[str, ...] | None = None) -> list[LogProbs]:
        """As `log_probs`, of each utterance that is cut out of a whole recording (S,), as `transcribe` cuts it."""
        return self.log_probs([cut.samples for cut in cutting.cut_whole(self.segments, samples)], heads)

    def live(self, *, delay_ms: float = 960.0, stream: str = "", partials: str = "auto") -> Live:
        """A stream: `for event in live.push(samples)`, then `live.finish()`. Finals are what `transcribe` gives."""
        return Live(self.live_setup(delay_ms=delay_ms, partials=partials), stream)

    def live_setup(
        self, *, delay_ms: float = 960.0, partials: str = "auto", ahead_s: float = LiveSetup.ahead_s
    ) -> LiveSetup:
        """What `asr.live`'s pure steps need, for those who keep the states themselves. Raises ConfigError.

        `partials`: "greedy", "beam" or "auto", as finals are. `ahead_s`: silence after which a final's work begins,
        before the end of its utterance is sure; less: sooner finals, more work in vain; inf: never.
        """
        bidirectional, frame_ms = self.bundle.model.config.bidirectional, 1000 * self.frame_s
        return LiveSetup(
            model=self.engine.full_model,
            features=self.engine.features,
            partials=self._partials(partials),
            latency=LatencyConfig.of_delay(delay_ms, bidirectional=bidirectional, frame_ms=frame_ms),
            segments=self.segments,
            finals=self._finals,
            ahead_s=ahead_s,
        )

    def _partials(self, name: str) -> Partials:
        if name not in ("auto", "greedy", "beam"):
            raise ConfigError("partials", f"expected auto, greedy or beam, got {name!r}")
        if name == "beam" and not isinstance(self.decoder, BeamReader):
            raise ConfigError("partials", "a beam for partials needs one for finals; use --decoding beam or auto")
        if isinstance(self.decoder, BeamReader) and name != "greedy":
            return BeamPartials(self.decoder, frame_s=self.frame_s)
        return GreedyPartials(GreedyReader(self.bundle), frame_s=self.frame_s)

    def utterances(self, cuts: Sequence[Cut]) -> list[Utterance]:
        """The words of utterances cut out of a stream, timed from the stream's start. For those who wait for them."""
        heads = self.decoder.heads
        if self.engine.alone:
            return self.engine.side_by_side(partial(self._utterance, hurried=len(cuts) == 1), cuts)
        found = self.engine.log_probs([cut.samples for cut in cuts], heads)
        return [_placed(cut, *self._read(x, len(cut.samples))) for cut, x in zip(cuts, found, strict=True)]

    def _in_thread(self, cuts: Sequence[Cut], alone: bool) -> list[Utterance]:
        """As `utterances`, in one of the engine's threads; `alone`: the others have nothing to do, so by two."""
        if self.engine.alone:
            return [self._utterance(cut, hurried=alone) for cut in cuts]
        return self.utterances(cuts)

    def _utterance(self, cut: Cut, *, hurried: bool = False) -> Utterance:
        """On the CPU in the calling thread: others are at work on other utterances."""
        log_probs = self.engine.log_probs_of_one(cut.samples, self.decoder.heads, hurried=hurried)
        return _placed(cut, *self._read(log_probs, len(cut.samples)))

    def transcribe(self, source: Source, *, name: str | None = None) -> Transcript:
        """Everything said in a recording of any length, or in a `Part` of one, in flat memory.

        Times count from the start of the recording, those of a part too. Raises AudioError; what was heard before the
        damage of a recording is in its `heard`.
        """
        with ThreadPoolExecutor(self.engine.workers) as pool:
            return self._transcript(source, name or name_of(source), partial(_side_by_side, pool, self._ahead))

    def transcribe_many(self, sources: Iterable[tuple[str, Source]]) -> Iterator[Transcript | AsrError]:
        """Recordings with their names, several at a time; results in their order, an error in its recording's place."""
        stopped = threading.Event()
        with ThreadPoolExecutor(self.engine.workers) as pool:
            try:
                yield from _side_by_side(pool, self._ahead, partial(self._transcript_or_error, stopped), sources)
            finally:  # Ctrl-C: nobody waits for the others any more
                stopped.set()
                pool.shutdown(wait=False, cancel_futures=True)

    @property
    def _ahead(self) -> int:
        """Of how many results the work may have begun before the first of them is fetched."""
        return 2 * self.engine.workers

    def _transcript_or_error(self, stopped: threading.Event, named: tuple[str, Source]) -> Transcript | AsrError:
        """In the calling thread alone: the same utterances, hence the same words, as `transcribe`."""
        name, source = named
        try:
            return self._transcript(source, name, partial(_one_by_one, stopped))
        except AsrError as error:
            return error

    def _transcript(self, source: Source, name: str, each: Callable[..., Iterable[list[Utterance]]]) -> Transcript:
        """`each`, as `map`: (work, groups) -> the work's results, in order. Raises AudioError."""
        reading = _Reading()
        groups = list(each(self._utterances, self._cuts(source, name, reading)))
        heard = Transcript(
            name, reading.samples / SAMPLE_RATE, tuple(chain.from_iterable(groups)), tuple(reading.notes)
        )
        if isinstance(source, Part):
            heard = heard.later(source.offset_s)
        if reading.damage is None:
            return heard
        if heard.words:
            reading.damage.heard = heard
        raise reading.damage

    def _cuts(self, source: Source, name: str, reading: "_Reading") -> Iterator[list[Cut]]:
        """Utterances in handy groups; `reading` is kept up to date."""
        state, group = cutting.start(), list[Cut]()
        try:
            for block in read_blocks(source, name=name, tell=reading.notes.append):
                state, cuts = cutting.step(self.segments, state, block)
                reading.samples = state.samples
                group += cuts
                if len(group) >= (1 if self.engine.alone else _TOGETHER):
                    yield group
                    group = []
        except AudioError as error:
            if not state.samples:
                raise
            reading.damage = error
        yield group + cutting.finish(self.segments, state)

    def _utterances(self, cuts: list[Cut]) -> list[Utterance]:
        return [self._utterance(cut) for cut in cuts] if self.engine.alone else self.utterances(cuts)

    def _read(self, log_probs: LogProbs, samples: int) -> tuple[tuple[Word, ...], tuple[Alternative, ...]]:
        return self.decoder.read(log_probs, frame_s=self.frame_s, end_s=samples / SAMPLE_RATE)


@dataclass
class _Reading:
    """How far a recording has been read, what has ended it too early, and what else is to be told of it."""

    samples: int = 0
    damage: AudioError | None = None
    notes: list[str] = field(default_factory=list)


Item = TypeVar("Item")
Result = TypeVar("Result")


def _side_by_side(
    pool: ThreadPoolExecutor, ahead: int, work: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[Result]:
    """work(item) of each, in their order, made by the pool; no more than `ahead` wait to be fetched."""
    waiting: deque[Future[Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        while len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _one_by_one(stopped: threading.Event, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """work(item) of each in the calling thread, until it is stopped."""
    return map(work, takewhile(lambda _: not stopped.is_set(), items))


def _placed(cut: Cut, words: tuple[Word, ...], alternatives: tuple[Alternative, ...]) -> Utterance:
    """Words timed from the utterance's start -> an utterance timed from the recording's."""
    start_s = cut.span.start / SAMPLE_RATE
    moved = (replace(word, start_s=word.start_s + start_s, end_s=word.end_s + start_s) for word in words)
    return Utterance(start_s, cut.span.end / SAMPLE_RATE, tuple(moved), alternatives)


def find_model(model: str | Path) -> Path:
    """The folder of a model given by its name in the package or by its folder. Raises CheckpointError."""
    packaged = MODELS / str(model)
    if packaged.is_dir():
        return packaged
    folder = Path(model)
    if folder.is_dir():
        return folder
    names = ", ".join(sorted(path.name for path in MODELS.glob("*") if path.is_dir())) or "none"
    raise CheckpointError(model, f"expected a model's folder or the name of one in the package ({names})")
