"""Is B better than A? Paired difference with interval, MAPSSWE, words won and lost. Pure: results in, numbers out."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np

from asr.errors import ManifestError
from asr.evaluation.answers import Answer, bootstrap_units
from asr.evaluation.bootstrap import DRAWS, draw_totals, percentile_interval, ratio
from asr.evaluation.mapsswe import MatchedPairs, matched_pairs
from asr.evaluation.normalise import Normaliser
from asr.evaluation.result import Result, by_set
from asr.evaluation.scores import NAN, Scored, percent, score_answers

SHOWN = 10
SIGNIFICANT = 0.05


@dataclass(frozen=True)
class Difference:
    """WER of B less WER of A, percent absolute (below 0: B is better), with its 95 % interval.

    improvement is the share of draws in which B has fewer errors; relative is in percent of A's WER. NaN where there is
    nothing to divide by (references without words, a perfect A), and for the interval of a single unit.
    """

    wer_a: float
    wer_b: float
    difference: float
    low: float
    high: float
    relative: float
    improvement: float
    units: int
    interval_over: str
    words: int
    mapsswe: MatchedPairs

    @property
    def shown(self) -> bool:
        """Whether the interval leaves 0 out: then a difference is shown."""
        return self.low > 0 or self.high < 0


@dataclass(frozen=True)
class Comparison:
    """Two results on the same references. won: words that only B heard right; lost: that only A did; with counts.

    unanswered: how many references A and B have no hypothesis for; these count as nothing heard.
    """

    a: str
    b: str
    overall: Difference
    sets: dict[str, Difference]
    won: tuple[tuple[str, int], ...]
    lost: tuple[tuple[str, int], ...]
    words_won: int
    words_lost: int
    unanswered: tuple[int, int]

    @property
    def verdict(self) -> str:
        """One sentence, and another where a hypothesis is missing."""
        d = self.overall
        span = "too few for an interval" if isnan(d.low) else f"{d.low:+.2f} to {d.high:+.2f}"
        size = f"{abs(d.difference):.2f} % absolute, {span}; MAPSSWE p = {d.mapsswe.p_value:.3g}"
        missing = "".join(
            f". But {count} references without a hypothesis of {name} count as nothing heard"
            for name, count in zip((self.a, self.b), self.unanswered, strict=True)
            if count
        )
        if not d.shown:
            return f"no difference shown between {self.a} and {self.b} ({size}){missing}"
        better, worse = (self.b, self.a) if d.difference < 0 else (self.a, self.b)
        agreed = "" if d.mapsswe.p_value < SIGNIFICANT else ", but MAPSSWE does not confirm it"
        return f"{better} is better than {worse} ({size}){agreed}{missing}"

    @property
    def table(self) -> list[list[str]]:
        """A heading, a row for each set where there are several, and one for all; "–" where there is no number."""
        rates = [f"WER % {self.a}", f"WER % {self.b}", "difference", "95 %", "relative %"]
        rows = [_row(name, d) for name, d in (*self.sets.items(), ("all", self.overall))]
        return [["set", *rates, "P(better)", "MAPSSWE p", "words"], *rows]


def _row(name: str, d: Difference) -> list[str]:
    def number(value: float, form: str) -> str:
        return "–" if isnan(value) else format(value, form)

    span = "–" if isnan(d.low) else f"{d.low:+.2f} to {d.high:+.2f}"
    rates = [number(d.wer_a, ".2f"), number(d.wer_b, ".2f"), number(d.difference, "+.2f"), span]
    more = [number(d.relative, "+.1f"), number(d.improvement, ".3f"), f"{d.mapsswe.p_value:.3g}", str(d.words)]
    return [name, *rates, *more]


def compare(a: Result, b: Result, normalise: Normaliser, *, draws: int = DRAWS, seed: int = 0) -> Comparison:
    """Compare on the same references. Raises ManifestError that lists what differs where they are not the same."""
    first, second = paired_answers(a, b)
    scored_a, scored_b = score_answers(first, normalise), score_answers(second, normalise)
    parts_a, parts_b = by_set(scored_a), by_set(scored_b)
    sets = {name: difference(parts_a[name], parts_b[name], draws=draws, seed=seed) for name in parts_a}
    if not any(x.counts.words for x in scored_a):
        raise ManifestError(
            f"{a.name} and {b.name}", "expected references with words; there are none, so no word error rate to compare"
        )
    won, lost = _won_and_lost(scored_a, scored_b)
    return Comparison(
        a=a.name,
        b=b.name,
        overall=difference(scored_a, scored_b, draws=draws, seed=seed),
        sets=sets if len(sets) > 1 else {},
        won=tuple(won.most_common(SHOWN)),
        lost=tuple(lost.most_common(SHOWN)),
        words_won=won.total(),
        words_lost=lost.total(),
        unanswered=(a.count("unanswered"), b.count("unanswered")),
    )


def difference(a: Sequence[Scored], b: Sequence[Scored], *, draws: int = DRAWS, seed: int = 0) -> Difference:
    """B against A, utterance by utterance in one order. The draws are the same for both: what they share drops out."""
    units = bootstrap_units([x.answer for x in a])
    rows = [(x.counts.errors, y.counts.errors, x.counts.words) for x, y in zip(a, b, strict=True)]
    values = np.array(rows, dtype=np.float64)
    totals = draw_totals(values, units, draws=draws, seed=seed)
    drawn = 100 * ratio(totals[:, 1] - totals[:, 0], totals[:, 2])
    drawn = drawn[np.isfinite(drawn)]  # a draw may have no words
    low, high = percentile_interval(drawn, units=len(set(units)))
    errors_a, errors_b, words = values.sum(axis=0)
    change = errors_b - errors_a
    return Difference(
        wer_a=percent(errors_a, words),
        wer_b=percent(errors_b, words),
        difference=percent(change, words),
        low=low,
        high=high,
        relative=percent(change, errors_a),
        improvement=float(np.mean(0.5 - 0.5 * np.sign(drawn))) if len(drawn) else NAN,
        units=len(set(units)),
        interval_over=" and ".join(sorted({unit.partition(" ")[0] + "s" for _, unit in units})),
        words=int(words),
        mapsswe=matched_pairs([x.alignment for x in a], [x.alignment for x in b]),
    )


def paired_answers(a: Result, b: Result) -> tuple[list[Answer], list[Answer]]:
    """The answers of both in the order of A. Raises ManifestError that lists what differs."""
    first, second = _by_key(a), _by_key(b)
    only_a, only_b = sorted(first.keys() - second.keys()), sorted(second.keys() - first.keys())
    texts = [key for key in first if key in second and first[key].reference != second[key].reference]
    if only_a or only_b or texts:
        parts = [
            _listed(f"only in {a.name}", [key[1] for key in only_a]),
            _listed(f"only in {b.name}", [key[1] for key in only_b]),
            _listed("with other reference words", [key[1] for key in texts]),
        ]
        found = "; ".join(part for part in parts if part)
        raise ManifestError(
            f"{a.name} and {b.name}", f"expected the same references in both: {found}. Score both on one set"
        )
    if not first:
        raise ManifestError(a.name, "expected at least one utterance; there is none")
    return list(first.values()), [second[key] for key in first]


def _by_key(result: Result) -> dict[tuple[str, str], Answer]:
    return {(answer.dataset, answer.id): answer for answer in result.answers}


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:SHOWN])}{more})" if names else ""


def _won_and_lost(a: Sequence[Scored], b: Sequence[Scored]) -> tuple[Counter[str], Counter[str]]:
    """Reference words that only B, and that only A heard right."""
    won: Counter[str] = Counter()
    lost: Counter[str] = Counter()
    for x, y in zip(a, b, strict=True):
        for word, right_a, right_b in zip(x.reference.split(), _right(x), _right(y), strict=True):
            won[word] += right_b and not right_a
            lost[word] += right_a and not right_b
    return +won, +lost


def _right(x: Scored) -> list[bool]:
    return [step.kind == "hit" for step in x.alignment.steps if step.reference is not None]
