"""Confidence, groups of utterances, kinds of words."""

import math

import numpy as np
import pytest

from asr.decoding.words import Word
from asr.evaluation.answers import Answer
from asr.evaluation.calibration import calibrate, judged_words, word_confidences
from asr.evaluation.groups import bin_name, group_scores
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.scores import Scored, score_answers
from asr.evaluation.word_kinds import confusions, count_words, out_of_vocabulary_rate, rare_words, word_kinds
from tests.evaluation.answers_for_tests import answers_of, random_pairs

BASIC = choose_normaliser("basic")


def scored_of(*pairs: tuple[str, str]) -> list[Scored]:
    return score_answers(answers_of(pairs), BASIC)


def test_a_confidence_that_is_the_probability_of_being_right_has_an_ece_of_nearly_nothing() -> None:
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0, 1, 20_000)
    right = (rng.uniform(0, 1, 20_000) < confidence).astype(np.float64)
    honest, boastful = calibrate(confidence, right), calibrate(np.sqrt(confidence), right)
    assert honest is not None
    assert boastful is not None
    assert honest.ece < 0.015
    assert boastful.ece == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
    assert honest.nce > boastful.nce
    assert honest.nce > 0.2


def test_fewer_words_kept_are_better_ones_where_the_confidence_ranks_them() -> None:
    confidence, right = np.array([0.9, 0.8, 0.7, 0.2]), np.array([1.0, 1.0, 1.0, 0.0])
    found = calibrate(confidence, right)
    assert found is not None
    assert (found.kept[0].share, found.kept[0].wrong) == (1.0, 25.0)
    assert all(point.wrong == 0 for point in found.kept if point.share <= 0.75)
    assert sum(x.words for x in found.bins) == 4


def test_ece_by_hand_and_the_odd_cases() -> None:
    found = calibrate(np.array([1.0, 1.0, 0.55, 0.55]), np.array([1.0, 0.0, 1.0, 1.0]))
    assert found is not None
    assert found.ece == pytest.approx(0.5 * 0.5 + 0.5 * 0.45)
    assert calibrate(np.array([]), np.array([])) is None
    all_right = calibrate(np.array([0.9]), np.array([1.0]))
    assert all_right is not None
    assert math.isnan(all_right.nce)


def test_confidences_follow_their_words_through_the_normaliser() -> None:
    words = tuple(Word(text, 0.0, 1.0, c) for text, c in (("I'm", 0.1), ("Mr", 0.2), ("Um", 0.3), ("1984", 0.4)))
    answer = Answer("u", "set", "", "I'm Mr Um 1984", words=words)
    english = choose_normaliser("english")
    heard = english(answer.hypothesis)
    assert heard == "i am mister nineteen eighty four"
    assert word_confidences(answer, heard, english) == [0.1, 0.1, 0.2, 0.4, 0.4, 0.4]
    silent = word_confidences(Answer("u", "set", "", "two words"), "two words", BASIC)
    assert all(math.isnan(x) for x in silent)


def test_inserted_and_substituted_words_are_wrong_ones() -> None:
    words = tuple(Word(text, 0.0, 1.0, c) for text, c in (("a", 0.9), ("x", 0.4), ("c", 0.8), ("d", 0.3)))
    scored = score_answers([Answer("u", "set", "a b c", "a x c d", words=words)], BASIC)
    confidence, right = judged_words(scored, BASIC)
    assert dict(zip(confidence, right, strict=True)) == {0.9: 1, 0.4: 0, 0.8: 1, 0.3: 0}


def test_groups_part_the_utterances_and_their_words_add_up() -> None:
    answers = [
        Answer(
            f"u{i}",
            "set",
            a,
            b,
            duration_s=1.0 + i % 9,
            speaker=f"s{i % 4}",
            snr_db=5.0 * (i % 9),
            tags={"room": "ab"[i % 2], "note": str(i)},
        )
        for i, (a, b) in enumerate(random_pairs(60))
    ]
    groups = group_scores(score_answers(answers, BASIC))
    assert set(groups) == {"speaker", "duration", "speech rate", "estimated SNR", "room"}
    for parts in groups.values():
        assert sum(part.score.words for part in parts) == sum(len(x.reference.split()) for x in answers)
    assert [part.value for part in groups["duration"]] == ["<2 s", "2–4 s", "4–8 s", "8–16 s"]


def test_bins_have_names() -> None:
    assert [bin_name(x, (2, 4), "s") for x in (0, 2, 3.9, 4, 99)] == ["<2 s", "2–4 s", "2–4 s", "≥4 s", "≥4 s"]


def test_kinds_of_words_are_counted_apart() -> None:
    kinds = word_kinds(
        scored_of(("Then Mary had twenty lambs, and I a B.", "then mary had twenty lamps and i a b")), BASIC
    )
    assert {x.kind: (x.words, x.missed) for x in kinds} == {"name": (2, 0), "number": (1, 0), "other": (6, 1)}
    assert {x.kind for x in word_kinds(scored_of(("GO b", "go b")), BASIC)} == {"letter", "other"}


def test_rare_words_go_by_their_training_count() -> None:
    counts = count_words(["the the the the the", "cat"], BASIC)
    scored = scored_of(("the cat purrs", "the hat purrs"), ("purrs", ""))
    found = {x.kind: (x.words, x.missed) for x in rare_words(scored, counts)}
    assert found == {"never (out of vocabulary)": (2, 1), "1–4": (1, 1), "5–19": (1, 0)}
    assert out_of_vocabulary_rate(scored, counts) == 50


def test_confusions_come_most_frequent_first() -> None:
    found = confusions(scored_of(("a b", "a c"), ("b", "c"), ("d", ""), ("", "e")))
    assert (found[0].reference, found[0].hypothesis, found[0].count) == ("b", "c", 2)
    assert {(x.reference, x.hypothesis) for x in found[1:]} == {("d", ""), ("", "e")}
