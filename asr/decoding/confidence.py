"""How sure a word is: several kinds of evidence, weighed into the probability that it is right.

The evidence: how loudly the head says the word's tokens; how much of the N-best's mass has the word at its place (a
posterior as from a confusion network: Mangu et al. 2000); whether another head, read greedily, says it too; how long
it is. The weights are a logistic regression, fitted by scripts/calibrate_confidence to recordings outside the training.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from asr.decoding.hypotheses import HeardWord, Hypothesis

MASS_SCALE = 0.3  # of scores before their softmax: neighbouring frames say nearly the same, so scores are too sure
_NEAR = 5  # frames by which a word's place may differ between readings
_LEAST = 0.01  # probabilities are kept so far from 0 and 1


@dataclass(frozen=True)
class ConfidenceWeights:
    """Of the evidence for a word, as log-odds."""

    bias: float = 0.0
    said: float = 0.0  # log-odds of the geometric mean of its tokens' probabilities
    mass: float = 0.0  # log-odds of the share of the readings' mass that has it
    agreed: float = 0.0  # 1 where the other head says it
    length: float = 0.0  # log of its frames


def evidence(readings: Sequence[Hypothesis], other: Sequence[HeardWord]) -> list[tuple[float, ...]]:
    """For each word of the first reading: said, mass, agreed, length, as `ConfidenceWeights` has them.

    `other`: the words of another head, in the same frames; may be empty.
    """
    best = readings[0]
    weights = [exp(MASS_SCALE * (reading.score - max(x.score for x in readings))) for reading in readings]
    total = sum(weights)
    found: list[tuple[float, ...]] = []
    for word in best.words:
        mass = sum(weight for weight, x in zip(weights, readings, strict=True) if _has(x.words, word)) / total
        agreed = 1.0 if _has(other, word) else 0.0
        found.append((_log_odds(word.confidence), _log_odds(mass), agreed, log(max(1, word.end - word.start))))
    return found


def confidences(weights: ConfidenceWeights, readings: Sequence[Hypothesis], other: Sequence[HeardWord]) -> list[float]:
    """The probability that each word of the first reading is right."""
    each = (weights.said, weights.mass, weights.agreed, weights.length)
    return [
        1.0 / (1.0 + exp(-weights.bias - sum(w * x for w, x in zip(each, kinds, strict=True))))
        for kinds in evidence(readings, other)
    ]


def _has(words: Sequence[HeardWord], wanted: HeardWord) -> bool:
    return any(
        word.text == wanted.text and word.start < wanted.end + _NEAR and wanted.start < word.end + _NEAR
        for word in words
    )


def _log_odds(probability: float) -> float:
    p = min(1.0 - _LEAST, max(_LEAST, probability))
    return log(p / (1.0 - p))
