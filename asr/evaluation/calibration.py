"""What a confidence is worth: is it the probability of being right, and does it put the wrong words last?"""

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

import numpy as np

from asr.decoding.words import Word
from asr.evaluation.answers import Answer
from asr.evaluation.bootstrap import Array
from asr.evaluation.normalise import Normaliser
from asr.evaluation.scores import Scored

BINS = 10
CURVE_POINTS = 21
NAN = float("nan")


@dataclass(frozen=True)
class ReliabilityBin:
    """Words with a confidence in [low, high): their number, mean confidence, and the share that is right."""

    low: float
    high: float
    words: int
    confidence: float
    right: float


@dataclass(frozen=True)
class KeptPoint:
    """The words wrong (percent) among the share of words of highest confidence, and the lowest confidence kept."""

    share: float
    wrong: float
    threshold: float


@dataclass(frozen=True)
class Calibration:
    """ece in [0, 1]; nce is 1 for perfect, 0 for no more than the base rate, below 0 for worse."""

    words: int
    right: float
    mean_confidence: float
    ece: float
    nce: float
    bins: tuple[ReliabilityBin, ...]
    kept: tuple[KeptPoint, ...]


def word_places(answer: Answer, hypothesis: str, normalise: Normaliser) -> list[Word | None]:
    """For each word of the normalised hypothesis the word that it was made from; None where that cannot be told.

    A word that the normaliser makes into several stands for each of them.
    """
    own = [(part, word) for word in answer.words for part in normalise(word.text).split()]
    wanted = hypothesis.split()
    if [part for part, _ in own] == wanted:
        return [word for _, word in own]
    found: list[Word | None] = [None] * len(wanted)
    for a, b, size in SequenceMatcher(None, [part for part, _ in own], wanted, autojunk=False).get_matching_blocks():
        found[b : b + size] = [word for _, word in own[a : a + size]]
    return found


def word_confidences(answer: Answer, hypothesis: str, normalise: Normaliser) -> list[float]:
    """A confidence for each word of the normalised hypothesis; NaN where there is none, or it cannot be told whose."""
    return [NAN if word is None else word.confidence for word in word_places(answer, hypothesis, normalise)]


def judged_words(scored: Sequence[Scored], normalise: Normaliser) -> tuple[Array, Array]:
    """(confidence, right) of every word heard that has a confidence; right is 1 for a hit, 0 for any error."""
    confidences: list[float] = []
    right: list[float] = []
    for x in scored:
        given = word_confidences(x.answer, x.hypothesis, normalise)
        for step in x.alignment.steps:
            if step.hypothesis is not None and given[step.hypothesis_index] == given[step.hypothesis_index]:
                confidences.append(given[step.hypothesis_index])
                right.append(float(step.kind == "hit"))
    return np.array(confidences), np.array(right)


def calibrate(confidence: Array, right: Array) -> Calibration | None:
    """Both (N,), in [0, 1]. None where no word has a confidence."""
    if not len(confidence):
        return None
    bins = _reliability(confidence, right)
    ece = sum(x.words * abs(x.confidence - x.right) for x in bins if x.words) / len(confidence)
    return Calibration(
        words=len(confidence),
        right=float(right.mean()),
        mean_confidence=float(confidence.mean()),
        ece=float(ece),
        nce=_normalised_cross_entropy(confidence, right),
        bins=tuple(bins),
        kept=tuple(_kept_curve(confidence, right)),
    )


def _reliability(confidence: Array, right: Array) -> list[ReliabilityBin]:
    place = np.clip((confidence * BINS).astype(int), 0, BINS - 1)
    result = []
    for i in range(BINS):
        here = place == i
        means = (float(confidence[here].mean()), float(right[here].mean())) if here.any() else (NAN, NAN)
        result.append(ReliabilityBin(i / BINS, (i + 1) / BINS, int(here.sum()), *means))
    return result


def _normalised_cross_entropy(confidence: Array, right: Array) -> float:
    """(H(base rate) - cross-entropy) / H(base rate), as NIST defines it; NaN where all or none are right."""
    rate = float(right.mean())
    if rate in {0.0, 1.0}:
        return NAN
    p = np.clip(confidence, 1e-6, 1 - 1e-6)
    cross = -float(np.mean(right * np.log2(p) + (1 - right) * np.log2(1 - p)))
    base = -float(rate * np.log2(rate) + (1 - rate) * np.log2(1 - rate))
    return (base - cross) / base


def _kept_curve(confidence: Array, right: Array) -> list[KeptPoint]:
    order = np.argsort(-confidence, kind="stable")
    wrong = np.cumsum(1 - right[order])
    points = []
    for share in np.linspace(1, 0, CURVE_POINTS)[:-1]:
        count = max(1, round(share * len(order)))
        points.append(
            KeptPoint(float(share), float(100 * wrong[count - 1] / count), float(confidence[order[count - 1]]))
        )
    return points
