"""What a live stream is worth: how soon words come, how many of them stay, and what the recogniser's work adds to it.

The clock is simulated and compute-aware: a chunk arrives when its last sample was spoken, waits until the work on
earlier chunks is done, and its events appear when its own work is done. So a recording takes only its work's time, and
a machine that is too slow shows as delay.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import partial
from itertools import groupby
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
        texts = (x.partials[-1].event.text for x in utterances_of(self) if x.partials)
        return " ".join(text for text in texts if text)


def listen(stream: LiveStream, samples: Samples, *, chunk_s: float = CHUNK_S) -> Listened:
    """Push (S,) samples in chunks of so many seconds, then finish, with the simulated clock at hand."""
    size = max(1, round(chunk_s * SAMPLE_RATE))
    heard: list[Heard] = []
    free_at, total = 0.0, 0.0
    for first in range(0, len(samples), size):
        chunk = samples[first : first + size]
        events, work = _timed(partial(stream.push, chunk))
        free_at, total = max(free_at, (first + len(chunk)) / SAMPLE_RATE) + work, total + work
        heard += [Heard(event, free_at, work) for event in events]
    events, work = _timed(stream.finish)
    free_at = max(free_at, len(samples) / SAMPLE_RATE) + work
    heard += [Heard(event, free_at, work) for event in events]
    return Listened(tuple(heard), len(samples) / SAMPLE_RATE, total + work, work)


def _timed(work: Callable[[], list[Event]]) -> tuple[list[Event], float]:
    began = time.perf_counter()
    return work(), time.perf_counter() - began


@dataclass(frozen=True)
class _SeenPartial:
    event: Partial
    at_s: float


@dataclass(frozen=True)
class _SeenUtterance:
    """What was seen of one utterance that has a final."""

    partials: tuple[_SeenPartial, ...]
    final: Final
    at_s: float
    work_s: float


def utterances_of(listened: Listened) -> list[_SeenUtterance]:
    """The partials and the final of each utterance."""
    found = []
    spoken = [x for x in listened.heard if isinstance(x.event, Partial | Final)]
    for _, group in groupby(spoken, key=lambda x: getattr(x.event, "utterance", -1)):
        *before, last = group
        partials = tuple(_SeenPartial(x.event, x.at_s) for x in before if isinstance(x.event, Partial))
        if isinstance(last.event, Final):
            found.append(_SeenUtterance(partials, last.event, last.at_s, last.work_s))
    return found


@dataclass(frozen=True)
class Percentiles:
    """Of `count` values; NaN where there are none."""

    count: int
    p50: float
    p95: float
    most: float


def percentiles(values: Iterable[float]) -> Percentiles:
    """Median, 95th percentile and the largest."""
    found = np.array(list(values), dtype=np.float64)
    if not len(found):
        return Percentiles(0, NAN, NAN, NAN)
    p50, p95 = np.percentile(found, [50, 95])
    return Percentiles(len(found), float(p50), float(p95), float(found.max()))


@dataclass(frozen=True)
class StreamingScore:
    """Rates in percent, times in seconds.

    first_partial_s: from the start of the first word in the final to the first partial (or the final, without one).
    word_delay_s: from the end of a word in the final to its first appearance in a partial, for words that stayed.
    final_work_s: the work of the push that gave a final, the last one's `finish` included; finish_work_s: that alone.
    final_delay_s: from the end of the last word to the final: with the silence that decides the utterance's end.
    stable_changed_percent: words that partials called stable and the final has not.
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
    delays = [_word_delays(x) for x in spoken]
    stable, changed = _stable_words(seen)
    audio, work = sum(run.audio_s for _, run in runs), sum(run.work_s for _, run in runs)
    return StreamingScore(
        recordings=len(runs),
        utterances=len(seen),
        partial_wer=_wer(references, [normalise(run.partial_text) for _, run in runs]),
        final_wer=_wer(references, [normalise(run.text) for _, run in runs]),
        first_partial_s=percentiles(_first_seen(x) - x.final.words[0].start_s for x in spoken),
        word_delay_s=percentiles(delay for found in delays for delay in found),
        final_work_s=percentiles(x.work_s for x in seen),
        finish_work_s=percentiles(run.finish_work_s for _, run in runs),
        final_delay_s=percentiles(x.at_s - x.final.words[-1].end_s for x in spoken),
        words_without_partial=sum(len(x.final.words) for x in spoken) - sum(map(len, delays)),
        stable_words=stable,
        stable_changed=changed,
        stable_changed_percent=percent(changed, stable),
        audio_s=audio,
        work_s=work,
        real_time_factor=ratio_of(work, audio),
    )


def _first_seen(seen: _SeenUtterance) -> float:
    return next((x.at_s for x in seen.partials if x.event.text), seen.at_s)


def _word_delays(seen: _SeenUtterance) -> list[float]:
    """Of each word of the final that the last partial has too, in the same order."""
    if not seen.partials:
        return []
    shown = [word.text for word in seen.partials[-1].event.words]
    matcher = SequenceMatcher(None, shown, [word.text for word in seen.final.words], autojunk=False)
    return [
        _appeared(seen.partials, block.a + i, shown[block.a + i]) - seen.final.words[block.b + i].end_s
        for block in matcher.get_matching_blocks()
        for i in range(block.size)
    ]


def _appeared(partials: Sequence[_SeenPartial], place: int, text: str) -> float:
    """When this word first stood at this place; words before it do not change, so places do not move."""
    return next(x.at_s for x in partials if place < len(x.event.words) and x.event.words[place].text == text)


def _stable_words(seen: Sequence[_SeenUtterance]) -> tuple[int, int]:
    """How many words the last partials called stable, and how many of them the finals do not have in their place."""
    last = [(x.partials[-1].event, x.final.text) for x in seen if x.partials]
    stable = [event.text[: event.stable_chars] for event, _ in last]
    found = align([final for _, final in last], stable)
    counts = sum((x.counts for x in found), Counts())
    return counts.heard, counts.substitutions + counts.insertions


def _wer(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    counts = sum((x.counts for x in align(references, hypotheses)), Counts())
    return percent(counts.errors, counts.words)
