"""MAPSSWE: the matched-pairs sentence-segment word error test (Gillick & Cox 1989), as NIST's sc_stats does it.

The words are cut into segments wherever both systems are right on two reference words or more in a row, so that
errors in one segment do not depend on those in the next. Each segment gives one difference of errors, and the mean of
these is tested against 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import copysign, erfc, inf, sqrt

import numpy as np

from asr.evaluation.alignment import Alignment

GOOD_WORDS_BETWEEN = 2


@dataclass(frozen=True)
class MatchedPairs:
    """segments: with an error of either; mean and z of errors of A less those of B; p two-sided, 1 where equal.

    p comes of the normal approximation, but is never below what the sign test could give with as many segments that
    differ: of a handful the deviation is known so badly that z alone calls equal systems different in 7 to 19 %.
    """

    segments: int
    mean: float
    z: float
    p_value: float


def matched_pairs(first: Sequence[Alignment], second: Sequence[Alignment]) -> MatchedPairs:
    """Test two systems on the same references; the alignments belong together one by one."""
    pairs = zip(first, second, strict=True)
    differences = np.array([d for a, b in pairs for d in segment_differences(a, b)], dtype=np.float64)
    count = len(differences)
    if count < 2 or not differences.any():
        return MatchedPairs(count, 0.0, 0.0, 1.0)
    mean, deviation = float(differences.mean()), float(differences.std(ddof=1))
    z = mean / (deviation / sqrt(count)) if deviation else copysign(inf, mean)
    least = 2 * 0.5 ** np.count_nonzero(differences)
    return MatchedPairs(count, mean, z, max(erfc(abs(z) / sqrt(2)), min(1.0, least)))


def segment_differences(first: Alignment, second: Alignment) -> list[int]:
    """Errors of the first less errors of the second, for each segment of one utterance in which either errs."""
    a, b = errors_by_place(first), errors_by_place(second)
    differences: list[int] = []
    good = GOOD_WORDS_BETWEEN  # an utterance begins a segment
    for errors_a, errors_b, is_word in _places(a, b):
        if errors_a or errors_b:
            if good >= GOOD_WORDS_BETWEEN:
                differences.append(0)
            differences[-1] += errors_a - errors_b
            good = 0
        elif is_word:
            good += 1
    return differences


def _places(a: list[int], b: list[int]) -> list[tuple[int, int, bool]]:
    """Gaps and words in turn: gap before word 0, word 0, gap before word 1, … and the gap at the end."""
    return [(x, y, place % 2 == 1) for place, (x, y) in enumerate(zip(a, b, strict=True))]


def errors_by_place(alignment: Alignment) -> list[int]:
    """(2 N + 1,) errors for N reference words: insertions at even places (the gaps), the words at odd ones."""
    places = [0]
    for step in alignment.steps:
        if step.kind == "ins":
            places[-1] += 1
        else:
            places += [int(step.kind != "hit"), 0]
    return places
