"""The front door: load a model, turn recordings into transcripts.

recognizer = Recognizer.load()
print(recognizer.transcribe(Path("talk.mp3")).text)
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from asr import cutting
from asr.audio.reader import SAMPLE_RATE, read_blocks
from asr.cutting import Cut
from asr.decoding.decoder import GreedyReader, make_decoder
from asr.decoding.words import Alternative, Transcript, Utterance, Word
from asr.errors import AsrError, CheckpointError
from asr.live import Live, LiveSetup
from asr.model.bundle import Bundle, load_bundle
from asr.model.engine import Engine, LogProbs, Samples
from asr.model.latency import LatencyConfig
from asr.segments import SegmentConfig

MODELS = Path(__file__).parent / "models"
Source = Path | bytes | BinaryIO
_TOGETHER = 32  # utterances of one recording that a GPU takes at once


class Recognizer:
    """A loaded model. Its methods may be called from several threads; nothing is remembered between calls."""

    def __init__(
        self, bundle: Bundle, *, device: str = "auto", precision: str = "auto", decoding: str = "auto"
    ) -> None:
        self.bundle = bundle
        self.engine = Engine(bundle, device=device, precision=precision)
        self.segments = SegmentConfig()
        self.decoder = make_decoder(bundle, decoding)

    @classmethod
    def load(
        cls,
        model: str | Path = "small",
        *,
        device: str = "auto",
        precision: str = "auto",
        decoding: str = "auto",
    ) -> "Recognizer":
        """A model by its name in the package ("small") or its folder. Raises CheckpointError, ConfigError.

        `decoding`: "greedy", "beam" (lexicon and language model), or "auto": beam where the model brings them.
        """
        return cls(load_bundle(find_model(model)), device=device, precision=precision, decoding=decoding)

    @property
    def frame_s(self) -> float:
        """Seconds from one output frame to the next."""
        return self.engine.frame_s

    def log_probs(self, utterances: Sequence[Samples], heads: tuple[str, ...] | None = None) -> list[LogProbs]:
        """Each (S,) -> head -> (T', V) log-probabilities; all heads where none are named."""
        return self.engine.log_probs(utterances, heads or tuple(self.bundle.model.config.heads))

    def recognize(self, utterances: Sequence[Samples]) -> list[tuple[Word, ...]]:
        """The words of utterances that are already cut, each (S,) float32 at 16 kHz; times from each one's start."""
        found = self.engine.log_probs(utterances, self.decoder.heads)
        return [self._read(x, len(samples))[0] for x, samples in zip(found, utterances, strict=True)]

    def live(self, *, delay_ms: float = 960.0, stream: str = "") -> Live:
        """A stream: `for event in live.push(samples)`, then `live.finish()`. Finals are what `transcribe` gives."""
        return Live(self.live_setup(delay_ms=delay_ms), stream)

    def live_setup(self, *, delay_ms: float = 960.0) -> LiveSetup:
        """What `asr.live`'s pure steps need, for those who keep the states themselves. Raises ConfigError."""
        config = self.bundle.model.config
        reader = GreedyReader(self.bundle)
        frame_ms = 1000 * self.frame_s
        return LiveSetup(
            model=self.engine.full_model,
            features=self.engine.features,
            head=reader.head,
            pieces=reader.units.tokens,
            latency=LatencyConfig.of_delay(delay_ms, bidirectional=config.bidirectional, frame_ms=frame_ms),
            segments=self.segments,
            finals=self.utterances,
        )

    def utterances(self, cuts: Sequence[Cut]) -> list[Utterance]:
        """The words of utterances cut out of a stream, timed from the stream's start."""
        found = self.engine.log_probs([cut.samples for cut in cuts], self.decoder.heads)
        return [_placed(cut, *self._read(x, len(cut.samples))) for cut, x in zip(cuts, found, strict=True)]

    def transcribe(self, source: Source, *, name: str | None = None) -> Transcript:
        """Everything said in a recording of any length, in flat memory. Raises AudioError."""
        utterances: list[Utterance] = []
        waiting: deque[Future[list[Utterance]]] = deque()
        samples = 0
        with ThreadPoolExecutor(self.engine.workers) as pool:
            for cuts, read in self._cuts(source, name):
                samples = read
                waiting.append(pool.submit(self._utterances, cuts))
                while len(waiting) > 2 * self.engine.workers:
                    utterances.extend(waiting.popleft().result())
            for future in waiting:
                utterances.extend(future.result())
        return Transcript(name or str(source), samples / SAMPLE_RATE, tuple(utterances))

    def transcribe_many(self, sources: Iterable[tuple[str, Source]]) -> Iterator[Transcript | AsrError]:
        """Recordings with their names, several at a time; results in their order, an error in its recording's place."""
        waiting: deque[Future[Transcript | AsrError]] = deque()
        with ThreadPoolExecutor(self.engine.workers) as pool:
            for name, source in sources:
                waiting.append(pool.submit(self._transcript_or_error, name, source))
                while len(waiting) > 2 * self.engine.workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _transcript_or_error(self, name: str, source: Source) -> Transcript | AsrError:
        """In the calling thread alone: the same utterances, hence the same words, as `transcribe`."""
        utterances: list[Utterance] = []
        samples = 0
        try:
            for cuts, read in self._cuts(source, name):
                samples = read
                utterances.extend(self._utterances(cuts))
        except AsrError as error:
            return error
        return Transcript(name, samples / SAMPLE_RATE, tuple(utterances))

    def _cuts(self, source: Source, name: str | None) -> Iterator[tuple[list[Cut], int]]:
        """Utterances in handy groups, with the number of samples read so far."""
        state, group = cutting.start(), list[Cut]()
        for block in read_blocks(source, name=name):
            state, cuts = cutting.step(self.segments, state, block)
            group += cuts
            if len(group) >= (1 if self.engine.alone else _TOGETHER):
                yield group, state.samples
                group = []
        yield group + cutting.finish(self.segments, state), state.samples

    def _utterances(self, cuts: list[Cut]) -> list[Utterance]:
        if not self.engine.alone:
            return self.utterances(cuts)
        heads = self.decoder.heads  # on the CPU in this thread: others are at work on other utterances
        found = (self.engine.log_probs_of_one(cut.samples, heads) for cut in cuts)
        return [_placed(cut, *self._read(x, len(cut.samples))) for cut, x in zip(cuts, found, strict=True)]

    def _read(self, log_probs: LogProbs, samples: int) -> tuple[tuple[Word, ...], tuple[Alternative, ...]]:
        return self.decoder.read(log_probs, frame_s=self.frame_s, end_s=samples / SAMPLE_RATE)


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
