"""Word error rate and its relatives, with 95 % intervals. All rates in percent. Pure: answers in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from asr.evaluation.alignment import Alignment, Counts, align
from asr.evaluation.answers import Answer, bootstrap_units
from asr.evaluation.bootstrap import DRAWS, draw_totals, percentile_interval, ratio
from asr.evaluation.normalise import Normaliser

NAN = float("nan")


@dataclass(frozen=True)
class Scored:
    """An answer, its two texts normalised, and their alignment."""

    answer: Answer
    reference: str
    hypothesis: str
    alignment: Alignment

    @property
    def counts(self) -> Counts:
        """Word and character counts."""
        return self.alignment.counts

    @property
    def wer(self) -> float:
        """Percent; NaN where the reference has no words."""
        return percent(self.counts.errors, self.counts.words)


@dataclass(frozen=True)
class Score:
    """Rates in percent, counts of words, seconds. NaN where a rate has nothing to divide by."""

    wer: float
    wer_low: float
    wer_high: float
    cer: float
    cer_low: float
    cer_high: float
    sentence_error_rate: float
    match_error_rate: float
    word_information_lost: float
    words: int
    substitutions: int
    deletions: int
    insertions: int
    hits: int
    characters: int
    sentences: int
    units: int
    interval_over: str
    audio_seconds: float
    real_time_factor: float


def score_answers(answers: Sequence[Answer], normalise: Normaliser) -> list[Scored]:
    """Normalise and align each answer."""
    references = [normalise(answer.reference) for answer in answers]
    hypotheses = [normalise(answer.hypothesis) for answer in answers]
    rows = zip(answers, references, hypotheses, align(references, hypotheses), strict=True)
    return [Scored(*row) for row in rows]


def total_score(scored: Sequence[Scored], *, draws: int = DRAWS, seed: int = 0) -> Score:
    """One score over all utterances given."""
    counts = sum((x.counts for x in scored), Counts())
    units = bootstrap_units([x.answer for x in scored])
    lows_and_highs = _intervals(scored, units, draws=draws, seed=seed)
    seconds = sum(x.answer.duration_s or 0.0 for x in scored)
    timed = [x.answer for x in scored if x.answer.wall_s is not None and x.answer.duration_s]
    precision, recall = ratio_of(counts.hits, counts.heard), ratio_of(counts.hits, counts.words)
    return Score(
        wer=percent(counts.errors, counts.words),
        wer_low=lows_and_highs[0][0],
        wer_high=lows_and_highs[0][1],
        cer=percent(counts.character_errors, counts.characters),
        cer_low=lows_and_highs[1][0],
        cer_high=lows_and_highs[1][1],
        sentence_error_rate=percent(counts.wrong_utterances, counts.utterances),
        match_error_rate=percent(counts.errors, counts.hits + counts.errors),
        word_information_lost=100 * (1 - (precision * recall if counts.heard else 0.0)) if counts.words else NAN,
        words=counts.words,
        substitutions=counts.substitutions,
        deletions=counts.deletions,
        insertions=counts.insertions,
        hits=counts.hits,
        characters=counts.characters,
        sentences=counts.utterances,
        units=len(set(units)),
        interval_over=_name_of(units),
        audio_seconds=seconds,
        real_time_factor=ratio_of(sum(x.wall_s or 0.0 for x in timed), sum(x.duration_s or 0.0 for x in timed)),
    )


def _intervals(
    scored: Sequence[Scored], units: list[tuple[str, str]], *, draws: int, seed: int
) -> tuple[tuple[float, float], tuple[float, float]]:
    if not scored:
        return (NAN, NAN), (NAN, NAN)
    rows = [(x.counts.errors, x.counts.words, x.counts.character_errors, x.counts.characters) for x in scored]
    totals = draw_totals(np.array(rows, dtype=np.float64), units, draws=draws, seed=seed)
    count = len(set(units))
    return (
        percentile_interval(100 * ratio(totals[:, 0], totals[:, 1]), units=count),
        percentile_interval(100 * ratio(totals[:, 2], totals[:, 3]), units=count),
    )


def _name_of(units: list[tuple[str, str]]) -> str:
    kinds = {unit.partition(" ")[0] + "s" for _, unit in units}
    return " and ".join(sorted(kinds))


def percent(part: float, whole: float) -> float:
    """100 part / whole; NaN where the whole is 0."""
    return 100 * ratio_of(part, whole)


def ratio_of(part: float, whole: float) -> float:
    """part / whole; NaN where the whole is 0."""
    return part / whole if whole else NAN
