"""Scores agree with jiwer and with cases by hand; intervals cover what they promise."""

import math

import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.evaluation.answers import Answer, bootstrap_units
from asr.evaluation.bootstrap import draw_totals, percentile_interval, ratio
from asr.evaluation.normalise import choose_normaliser
from asr.evaluation.scores import Score, score_answers, total_score
from tests.evaluation.answers_for_tests import WORDS, answers_of, random_pairs

texts = st.lists(st.sampled_from(WORDS[:4]), max_size=6).map(" ".join)


def score_of(pairs: list[tuple[str, str]], *, speakers: int = 0) -> Score:
    return total_score(score_answers(answers_of(pairs, speakers=speakers), choose_normaliser("basic")))


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=8))
def test_rates_and_counts_are_those_of_jiwer(pairs: list[tuple[str, str]]) -> None:
    references, hypotheses = [a for a, _ in pairs], [b for _, b in pairs]
    ours, words = score_of(pairs), jiwer.process_words(references, hypotheses)
    counts = (ours.hits, ours.substitutions, ours.deletions, ours.insertions)
    assert counts == (words.hits, words.substitutions, words.deletions, words.insertions)
    if any(references):
        assert ours.wer == pytest.approx(100 * words.wer)
        assert ours.match_error_rate == pytest.approx(100 * words.mer)
        assert ours.word_information_lost == pytest.approx(100 * words.wil)
        assert ours.cer == pytest.approx(100 * jiwer.process_characters(references, hypotheses).cer)


def test_a_case_by_hand() -> None:
    score = score_of([("the cat sat", "the cat sat"), ("on the mat", "on a the map"), ("far away", "")])
    assert (score.hits, score.substitutions, score.deletions, score.insertions) == (5, 1, 2, 1)
    assert score.wer == pytest.approx(100 * 4 / 8)
    assert score.sentence_error_rate == pytest.approx(100 * 2 / 3)
    assert (score.audio_seconds, score.real_time_factor) == (6.0, 0.25)


def test_nothing_heard_is_all_deletions_and_nothing_said_is_all_insertions() -> None:
    assert score_of([("a b c", "")]).wer == 100
    silent = score_of([("", "a b"), ("", "")])
    assert (silent.insertions, silent.words) == (2, 0)
    assert math.isnan(silent.wer)
    assert score_of([("a b", "a b c d e")]).wer == pytest.approx(150)
    assert math.isnan(total_score([]).wer)


def test_the_interval_holds_the_rate_and_shrinks_with_more_utterances() -> None:
    few, many = score_of(random_pairs(30)), score_of(random_pairs(1000))
    for score in (few, many):
        assert score.wer_low < score.wer < score.wer_high
        assert score.cer_low < score.cer < score.cer_high
    assert many.wer_high - many.wer_low < 0.4 * (few.wer_high - few.wer_low)


def test_the_bootstrap_draws_speakers_where_there_are_enough_known_ones() -> None:
    pairs = random_pairs(60)
    assert (score_of(pairs, speakers=20).interval_over, score_of(pairs, speakers=20).units) == ("speakers", 20)
    assert (score_of(pairs, speakers=3).interval_over, score_of(pairs, speakers=3).units) == ("utterances", 60)


def test_an_utterance_of_nobody_known_leaves_the_speakers_of_the_others_together() -> None:
    pairs = random_pairs(60)
    answers = [*answers_of(pairs, speakers=6)[:-1], answers_of(pairs)[-1]]
    score = total_score(score_answers(answers, choose_normaliser("basic")))
    assert (score.interval_over, score.units) == ("speakers and utterances", 7)


def test_the_interval_of_a_few_speakers_covers_the_truth_about_all_speakers_where_one_of_utterances_does_not() -> None:
    """Six speakers, 20 utterances each, with own error rates around 20 %."""
    rng = np.random.default_rng(7)
    covered: dict[bool, list[bool]] = {True: [], False: []}
    for _ in range(200):
        words = rng.integers(5, 21, 120)
        errors = rng.binomial(words, rng.beta(4, 16, 6).repeat(20))
        for known in covered:
            answers = [Answer(f"u{i}", "set", "", "", speaker=f"s{i // 20}" if known else "") for i in range(120)]
            totals = draw_totals(np.stack([errors, words], 1).astype(np.float64), bootstrap_units(answers), draws=500)
            low, high = percentile_interval(ratio(totals[:, 0], totals[:, 1]), units=6 if known else 120)
            covered[known].append(low <= 0.2 <= high)
    assert np.mean(covered[True]) >= 0.88
    assert np.mean(covered[False]) <= 0.6


def test_the_same_seed_gives_the_same_interval() -> None:
    assert score_of(random_pairs(50)) == score_of(random_pairs(50))


@pytest.mark.parametrize(("speakers", "each"), [(100, 1), (30, 5)])
def test_the_interval_covers_the_truth_in_93_to_97_percent_of_simulated_sets(speakers: int, each: int) -> None:
    """Utterances of 5 to 20 words; each speaker has an own error rate around 20 %."""
    rng = np.random.default_rng(5)
    covered = []
    for trial in range(800):
        rates = rng.beta(4, 16, speakers).repeat(each)
        words = rng.integers(5, 21, speakers * each)
        values = np.stack([rng.binomial(words, rates), words], axis=1).astype(np.float64)
        units = [("set", i // each) for i in range(speakers * each)]
        totals = draw_totals(values, units, draws=500, seed=trial)
        low, high = percentile_interval(ratio(totals[:, 0], totals[:, 1]), units=speakers)
        covered.append(low <= 0.2 <= high)
    assert 0.93 <= np.mean(covered) <= 0.97


def test_sets_are_drawn_from_apart() -> None:
    """Two sets without variance inside have a sure total, however far apart they are."""
    values = np.array([[1.0, 10.0]] * 5 + [[5.0, 10.0]] * 5)
    units = [("a" if i < 5 else "b", i) for i in range(10)]
    totals = draw_totals(values, units, draws=50)
    np.testing.assert_allclose(totals, [[30.0, 100.0]] * 50)
