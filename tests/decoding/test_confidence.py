import pytest

from asr.decoding.confidence import ConfidenceWeights, confidences, evidence
from asr.decoding.hypotheses import HeardWord, Hypothesis


def word(text: str, start: int, sure: float = 0.5) -> HeardWord:
    return HeardWord(text, start, start + 5, sure)


def test_a_word_that_other_readings_and_the_other_head_share_is_surer() -> None:
    best = Hypothesis((word("the", 0), word("cat", 10)), 0.0)
    readings = [best, Hypothesis((word("the", 1), word("hat", 10)), 0.0), Hypothesis((word("the", 0),), 0.0)]
    weights = ConfidenceWeights(mass=1.0, agreed=1.0)
    the, cat = confidences(weights, readings, [word("the", 2)])
    assert the > 0.9 > 0.5 > cat
    assert evidence(readings, [])[1][1] == pytest.approx(-0.6931, abs=1e-3)  # a third of the mass: log-odds of 1 : 2


def test_the_same_word_elsewhere_is_no_witness() -> None:
    best = Hypothesis((word("the", 0),), 0.0)
    far = Hypothesis((word("the", 40),), 0.0)
    [(_, mass, agreed, _)] = evidence([best, far], [word("the", 40)])
    assert mass == pytest.approx(0)
    assert agreed == 0


@pytest.mark.parametrize("sure", [0.0, 0.3, 1.0])
def test_confidence_is_a_probability_and_rises_with_each_kind_of_evidence(sure: float) -> None:
    readings = [Hypothesis((word("a", 0, sure),), -1e5), Hypothesis((word("b", 0),), -1e5)]
    weights = ConfidenceWeights(bias=-1.0, said=0.2, mass=0.3, agreed=1.4, length=0.1)
    alone, [agreed] = confidences(weights, readings, []), confidences(weights, readings, [word("a", 0)])
    assert 0 < alone[0] < agreed < 1
