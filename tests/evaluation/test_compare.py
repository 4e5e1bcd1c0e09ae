"""Comparison: a worked example, and simulations where the truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ManifestError
from asr.evaluation.alignment import align
from asr.evaluation.answers import Answer
from asr.evaluation.compare import compare, difference
from asr.evaluation.mapsswe import errors_by_place, matched_pairs, segment_differences
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.result import Result
from asr.evaluation.scores import Scored, score_answers
from tests.evaluation.answers_for_tests import answers_of, random_pairs

BASIC = choose_normaliser("basic")


def result_of(name: str, pairs: list[tuple[str, str]]) -> Result:
    return Result(name, tuple(answers_of(pairs)))


def test_mapsswe_agrees_with_the_worked_example_of_jurafsky_and_martin() -> None:
    """Four segments, errors 2-0, 0-1, 1-2 and 1-0."""
    reference = "it was the best of times it was the worst of times it was"
    (a,) = align([reference], ["its the best of times it is the worst of times or it was"])
    (b,) = align([reference], ["it was the best times it won the test of times it was"])
    assert segment_differences(a, b) == [2, -1, -1, 1]
    found = matched_pairs([a], [b])
    mean, deviation = 0.25, math.sqrt(sum((d - 0.25) ** 2 for d in (2, -1, -1, 1)) / 3)
    assert (found.segments, found.mean) == (4, mean)
    assert found.z == pytest.approx(mean / (deviation / 2))
    assert found.p_value == pytest.approx(math.erfc(found.z / math.sqrt(2)))
    assert found.p_value == pytest.approx(0.7389, abs=5e-4)


def test_a_segment_ends_at_two_good_words_and_at_the_utterance() -> None:
    reference = "a b c d e"
    (right,) = align([reference], [reference])
    (near,) = align([reference], ["x b y d e"])
    (far,) = align([reference], ["x b c y e"])
    assert segment_differences(near, right) == [2]
    assert segment_differences(far, right) == [1, 1]
    assert matched_pairs([near, far], [right, right]).segments == 3


def test_two_segments_that_agree_are_no_proof() -> None:
    reference = "a b c d"
    (right,), (wrong,) = align([reference], [reference]), align([reference], ["x b c y"])
    assert matched_pairs([wrong], [right]).p_value == 0.5
    assert matched_pairs([wrong] * 5, [right] * 5).p_value < 0.01


def test_a_handful_of_segments_proves_no_more_than_the_sign_test_could() -> None:
    """Three segments that all favour one system: by their deviation alone p would be 0.00006."""
    reference = "a b c d"
    (right,), (wrong,), (worse,) = (align([reference], [x]) for x in (reference, "x b c d", "x y c d"))
    assert matched_pairs([wrong, wrong, worse], [right] * 3).p_value == 0.25
    assert matched_pairs([wrong, wrong, worse, worse], [right, right, right, worse]).p_value == 0.25


def test_insertions_have_places_of_their_own() -> None:
    (found,) = align(["a b"], ["x a b y z"])
    assert errors_by_place(found) == [1, 0, 0, 0, 2]


def test_a_result_is_not_different_from_itself() -> None:
    pairs = random_pairs(50)
    found = compare(result_of("a", pairs), result_of("b", pairs), BASIC)
    assert (found.overall.difference, found.overall.improvement, found.overall.mapsswe.p_value) == (0, 0.5, 1)
    assert "no difference shown" in found.verdict
    assert (found.words_won, found.words_lost) == (0, 0)


def test_a_clear_difference_is_shown_in_both_directions() -> None:
    pairs = random_pairs(200, error_rate=0.3)
    perfect = [(reference, reference) for reference, _ in pairs]
    better = compare(result_of("old", pairs), result_of("new", perfect), BASIC)
    worse = compare(result_of("new", perfect), result_of("old", pairs), BASIC)
    assert better.verdict.startswith("new is better than old")
    assert worse.verdict.startswith("new is better than old")
    assert better.overall.high < 0 < worse.overall.low
    assert (better.overall.improvement, worse.overall.improvement) == (1, 0)
    assert better.overall.mapsswe.p_value < 1e-6
    assert better.overall.difference == pytest.approx(-worse.overall.difference)


def test_words_won_and_lost_are_counted() -> None:
    a = result_of("a", [("the cat sat", "the hat sat"), ("on the mat", "on the mat")])
    b = result_of("b", [("the cat sat", "the cat sat"), ("on the mat", "on a mat")])
    found = compare(a, b, BASIC)
    assert (found.won, found.lost) == ((("cat", 1),), (("the", 1),))


def test_other_references_are_an_error_that_lists_what_differs() -> None:
    a, b = result_of("a", random_pairs(4)), result_of("b", random_pairs(4))
    with pytest.raises(ManifestError, match=r"1 only in a \(u3\)"):
        compare(a, replace(b, answers=b.answers[:3]), BASIC)
    other = replace(b.answers[1], reference="something else")
    with pytest.raises(ManifestError, match=r"other reference words \(u1\)"):
        compare(a, replace(b, answers=(b.answers[0], other, *b.answers[2:])), BASIC)


def test_a_set_without_words_has_no_rates_and_the_others_keep_theirs() -> None:
    pairs = random_pairs(20, error_rate=0.3)
    noise = tuple(replace(x, dataset="noise") for x in answers_of([("", "uh"), ("", "")]))
    old, new = result_of("old", pairs), result_of("new", [(said, said) for said, _ in pairs])
    found = compare(*(replace(x, answers=(*x.answers, *noise)) for x in (old, new)), BASIC)
    heading, _, silent, overall = found.table
    assert silent == ["noise", "–", "–", "–", "–", "+0.0", "–", "1", "0"]
    assert "nan" not in " ".join([*heading, *overall, found.verdict])
    assert found.overall.wer_b == pytest.approx(100 / found.overall.words)
    with pytest.raises(ManifestError, match="expected references with words"):
        compare(Result("a", noise), Result("b", noise), BASIC)


def test_one_utterance_gives_no_interval_and_that_is_said() -> None:
    found = compare(result_of("a", [("the cat", "the hat")]), result_of("b", [("the cat", "the cat")]), BASIC)
    assert found.verdict.startswith("no difference shown between a and b (50.00 % absolute, too few for an interval")
    assert found.table[1][4] == "–"


def test_the_order_of_the_utterances_does_not_matter() -> None:
    a, b = result_of("a", random_pairs(20)), result_of("b", random_pairs(20, seed=0))
    turned = replace(b, answers=tuple(reversed(b.answers)))
    assert compare(a, b, BASIC) == compare(a, turned, BASIC)


def fake_scored(errors: np.ndarray, words: np.ndarray, prefix: str) -> list[Scored]:
    """Utterances with these numbers of substitutions, at random places."""
    rng = np.random.default_rng(int(errors.sum()) + len(prefix))
    pairs = []
    for count, length in zip(errors, words, strict=True):
        wrong = set(rng.permutation(length)[:count].tolist())
        pairs.append((" ".join(["w"] * length), " ".join("x" if i in wrong else "w" for i in range(length))))
    return score_answers([Answer(f"u{i}", "s", a, b) for i, (a, b) in enumerate(pairs)], BASIC)


def test_systems_that_are_equally_good_are_called_different_about_five_times_in_a_hundred() -> None:
    """Two systems with the same error rate on each utterance; some utterances are harder for both."""
    rng = np.random.default_rng(11)
    bootstrap, mapsswe = [], []
    for trial in range(300):
        words = rng.integers(5, 16, 60)
        rates = rng.beta(2, 8, 60)
        a, b = (fake_scored(rng.binomial(words, rates), words, name) for name in "ab")
        found = difference(a, b, draws=300, seed=trial)
        bootstrap.append(found.shown)
        mapsswe.append(found.mapsswe.p_value < 0.05)
    assert 0.025 <= np.mean(bootstrap) <= 0.075
    assert 0.02 <= np.mean(mapsswe) <= 0.08


@given(st.integers(0, 1000))
def test_the_interval_of_a_difference_holds_it(seed: int) -> None:
    a, b = random_pairs(40, seed=seed), random_pairs(40, seed=seed, error_rate=0.3)
    found = difference(score_answers(answers_of(a), BASIC), score_answers(answers_of(b), BASIC), draws=200)
    assert found.low <= found.difference <= found.high
