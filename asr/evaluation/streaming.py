"""What a live stream is worth: how soon words come, how many of them stay, and what the recogniser's work adds to it.

The clock is simulated and compute-aware: a chunk arrives when its last sample was spoken, waits until the work on
earlier chunks is done, and its events appear when its own work is done. So a recording takes only its work's time, and
a machine that is too slow shows as delay.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby, pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt

from asr.audio.reader import SAMPLE_RATE
from asr.decoding.words import Word
from asr.evaluation.alignment import Counts, align
from asr.evaluation.normalise import Normaliser
from asr.evaluation.scores import percent, ratio_of
from asr.events import Event, Final, Partial

Samples = npt.NDArray[np.float32]
CHUNK_S = 0.05  # as a microphone gives them
SAME_S = 0.4  # between the starts of one word in a partial and in the final, whose passes time it a little apart
NAN = float("nan")


class LiveStream(Protocol):
    """Anything that hears live; asr.live.Live does."""

    def push(self, samples: Samples) -> list[Event]:
        """(S,) float32 at 16 kHz -> what there is to say now."""
        ...

    def finish(self) -> list[Event]:
        """The last words."""
        ...


@dataclass(frozen=True)
class Heard:
    """An event, when it appeared (seconds after the first sample was spoken), and the work of its push in seconds."""

    event: Event
    at_s: float
    work_s: float


@dataclass(frozen=True)
class Listened:
    """One recording through a stream. `finish_work_s` is the work of `finish`, the last part of `work_s`."""

    heard: tuple[Heard, ...]
    audio_s: float
    work_s: float
    finish_work_s: float

    @property
    def text(self) -> str:
        """The finals' words."""
        return " ".join(x.event.text for x in self.heard if isinstance(x.event, Final) and x.event.text)

    @property
    def words(self) -> tuple[Word, ...]:
        """The finals' words with their times."""
        return tuple(word for x in self.heard if isinstance(x.event, Final) for word in x.event.words)

    @property
    def partial_text(self) -> str:
        """The words of each utterance's last partial."""
        texts = (x.last_partial(stable=False) for x in utterances_of(self))
        return " ".join(text for text in texts if text)


def listen(
    stream: LiveStream, samples: Samples, *, chunk_s: float = CHUNK_S, clock: Callable[[], float] | None = None
) -> Listened:
    """Push (S,) samples in chunks of so many seconds, then finish, with the simulated time at hand.

    `clock` measures the work, in seconds (None: the process's own); one that stands still gives the times of a
    machine that needs none.
    """
    clock = clock or time.perf_counter
    size = max(1, round(chunk_s * SAMPLE_RATE))
    heard: list[Heard] = []
    free_at, total = 0.0, 0.0
    for first in range(0, len(samples), size):
        chunk = samples[first : first + size]
        events, work = _timed(partial(stream.push, chunk), clock)
        free_at, total = max(free_at, (first + len(chunk)) / SAMPLE_RATE) + work, total + work
        heard += [Heard(event, free_at, work) for event in events]
    events, work = _timed(stream.finish, clock)
    free_at = max(free_at, len(samples) / SAMPLE_RATE) + work
    heard += [Heard(event, free_at, work) for event in events]
    return Listened(tuple(heard), len(samples) / SAMPLE_RATE, total + work, work)


def _timed(work: Callable[[], list[Event]], clock: Callable[[], float]) -> tuple[list[Event], float]:
    began = clock()
    return work(), clock() - began


@dataclass(frozen=True)
class SeenPartial:
    """A partial, and when it appeared (seconds)."""

    event: Partial
    at_s: float


@dataclass(frozen=True)
class SeenUtterance:
    """What was seen of one utterance that has a final."""

    partials: tuple[SeenPartial, ...]
    final: Final
    at_s: float
    work_s: float

    def last_partial(self, *, stable: bool) -> str:
        """Its words, or the stable ones: those before the utterance's end, for one that was too long is cut and its
        rest is shown again as the next."""
        if not self.partials:
            return ""
        event = self.partials[-1].event
        count = len(event.text[: event.stable_chars].split()) if stable else None
        return " ".join(word.text for word in event.words[:count] if word.start_s < self.final.end_s)


def utterances_of(listened: Listened) -> list[SeenUtterance]:
    """The partials and the final of each utterance."""
    found = []
    spoken = [x for x in listened.heard if isinstance(x.event, Partial | Final)]
    for _, group in groupby(spoken, key=lambda x: getattr(x.event, "utterance", -1)):
        *before, last = group
        partials = tuple(SeenPartial(x.event, x.at_s) for x in before if isinstance(x.event, Partial))
        if isinstance(last.event, Final):
            found.append(SeenUtterance(partials, last.event, last.at_s, last.work_s))
    return found


@dataclass(frozen=True)
class Percentiles:
    """Of `count` values; NaN where there are none. twentieths: the least, then what 5, 10, … and 100 % stay below."""

    count: int
    p50: float
    p95: float
    most: float
    twentieths: tuple[float, ...] = ()


def percentiles(values: Iterable[float]) -> Percentiles:
    """Median, 95th percentile and the largest."""
    found = np.array(list(values), dtype=np.float64)
    if not len(found):
        return Percentiles(0, NAN, NAN, NAN)
    twentieths = tuple(map(float, np.percentile(found, np.linspace(0, 100, 21))))
    return Percentiles(len(found), twentieths[10], twentieths[19], twentieths[20], twentieths)


@dataclass(frozen=True)
class StreamingScore:
    """Rates in percent, times in seconds.

    first_partial_s: from the start of the first word in the final to the first partial (or the final, without one).
    word_delay_s: from the end of a word in a final to the first partial that showed it there (within SAME_S).
    final_work_s: the work of the push that gave a final, the last one's `finish` included; finish_work_s: that alone.
    final_delay_s: from the end of the last word to the final: with the silence that decides the utterance's end, or
    the time for which an utterance too long went on after the place where it was cut.
    partial_words_changed_percent: of the words that partials showed, those that a later partial of the utterance took
    back: the flicker. stable_changed_percent: words that partials called stable and the final has not.
    """

    recordings: int
    utterances: int
    partial_wer: float
    final_wer: float
    first_partial_s: Percentiles
    word_delay_s: Percentiles
    final_work_s: Percentiles
    finish_work_s: Percentiles
    final_delay_s: Percentiles
    words_without_partial: int
    partial_words: int
    partial_words_changed: int
    partial_words_changed_percent: float
    stable_words: int
    stable_changed: int
    stable_changed_percent: float
    audio_s: float
    work_s: float
    real_time_factor: float


def score_streams(runs: Sequence[tuple[str, Listened]], normalise: Normaliser) -> StreamingScore:
    """Every number about recordings that were listened to, each with its true words."""
    references = [normalise(reference) for reference, _ in runs]
    seen = [x for _, run in runs for x in utterances_of(run)]
    spoken = [x for x in seen if x.final.words]
    delays = [delay for _, run in runs for delay in _word_delays(run)]
    shown, taken_back = _shown_words(seen)
    stable, changed = _stable_words(seen)
    audio, work = sum(run.audio_s for _, run in runs), sum(run.work_s for _, run in runs)
    return StreamingScore(
        recordings=len(runs),
        utterances=len(seen),
        partial_wer=_wer(references, [normalise(run.partial_text) for _, run in runs]),
        final_wer=_wer(references, [normalise(run.text) for _, run in runs]),
        first_partial_s=percentiles(delay for _, run in runs for delay in _first_partial_delays(run)),
        word_delay_s=percentiles(delays),
        final_work_s=percentiles(x.work_s for x in seen),
        finish_work_s=percentiles(run.finish_work_s for _, run in runs),
        final_delay_s=percentiles(x.at_s - x.final.words[-1].end_s for x in spoken),
        words_without_partial=sum(len(x.final.words) for x in spoken) - len(delays),
        partial_words=shown,
        partial_words_changed=taken_back,
        partial_words_changed_percent=percent(taken_back, shown),
        stable_words=stable,
        stable_changed=changed,
        stable_changed_percent=percent(changed, stable),
        audio_s=audio,
        work_s=work,
        real_time_factor=ratio_of(work, audio),
    )


def _first_partial_delays(run: Listened) -> list[float]:
    """Of each utterance with words, from the start of its first one."""
    seen = utterances_of(run)
    shown = [partial for x in seen for partial in x.partials]
    return [_first_seen(x, shown) - x.final.words[0].start_s for x in seen if x.final.words]


def _first_seen(seen: SeenUtterance, shown: Sequence[SeenPartial]) -> float:
    """When the first partial had a word of this utterance; the final, where none had before it."""
    begin = seen.final.words[0].start_s - SAME_S
    found = (x.at_s for x in shown if any(begin <= word.start_s for word in x.event.words))
    return min(next(found, seen.at_s), seen.at_s)


def _word_delays(run: Listened) -> list[float]:
    """Of each word of the finals that a partial showed at its place, from the end of the word."""
    appeared: dict[str, list[tuple[float, float]]] = {}  # text -> (start, when a partial showed it)
    for heard in run.heard:
        for word in heard.event.words if isinstance(heard.event, Partial) else ():
            appeared.setdefault(word.text, []).append((word.start_s, heard.at_s))
    found = (
        next((at for start, at in appeared.get(word.text, []) if abs(start - word.start_s) <= SAME_S), None)
        for word in run.words
    )
    return [at - word.end_s for at, word in zip(found, run.words, strict=True) if at is not None]


def _shown_words(seen: Sequence[SeenUtterance]) -> tuple[int, int]:
    """How many words partials showed, a word anew wherever another stood, and how many the next partial took back."""
    texts = [["", *(partial.event.text for partial in x.partials)] for x in seen]
    pairs = [pair for shown in texts for pair in pairwise(shown)]
    found = align([later for _, later in pairs], [earlier for earlier, _ in pairs])
    counts = sum((x.counts for x in found), Counts())
    return counts.substitutions + counts.deletions, counts.substitutions + counts.insertions


def _stable_words(seen: Sequence[SeenUtterance]) -> tuple[int, int]:
    """How many words the last partials called stable, and how many of them the finals do not have in their place."""
    found = align([x.final.text for x in seen], [x.last_partial(stable=True) for x in seen])
    counts = sum((x.counts for x in found), Counts())
    return counts.heard, counts.substitutions + counts.insertions


def _wer(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    counts = sum((x.counts for x in align(references, hypotheses)), Counts())
    return percent(counts.errors, counts.words)
