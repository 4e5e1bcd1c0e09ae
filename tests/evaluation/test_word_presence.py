"""Words that are said are told from words that are not; frames are read as one."""

import random

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.evaluation.frames import Frames
from asr.evaluation.transcript_alignment import MISSING, align_text
from asr.evaluation.word_presence import RIVALS, WordJudge
from asr.features.spectral import FeatureConfig
from asr.model.bundle import Bundle
from asr.recognizer import MODELS, Recognizer
from tests.conftest import small_model, small_units
from tests.recordings import RECORDINGS


@pytest.fixture(scope="module")
def judge() -> WordJudge:
    return WordJudge(Bundle(small_model(), FeatureConfig(), small_units()))


def heard(judge: WordJudge, words: list[str], sure: float) -> tuple[dict[str, Frames], list[tuple[int, int]]]:
    """What a model gives that hears these words and is so sure of each token; four frames a token, a gap a word."""
    frames = {name: Frames() for name in judge.judges}
    length = 4 * 12
    for word in words:
        for name, ways in judge.spell(word).ways.items():
            values = np.full((length, len(judge.units[name].tokens)), np.log((1 - sure) / 40), np.float32)
            labels = np.zeros(length, int)
            for i, token in enumerate(ways[0]):
                labels[4 * i + 1 : 4 * i + 3] = token
            values[range(length), labels] = np.log(sure)
            frames[name].add(values)
    return frames, [(length * i, length * i + 40) for i in range(len(words))]


def test_a_word_that_is_heard_fits_better_than_all_others_and_another_word_does_not(judge: WordJudge) -> None:
    said = ["when", "summer", "comes"]
    frames, spans = heard(judge, said, 0.7)
    assert judge.scores(frames, [judge.spell(word) for word in said], spans) == [1.0, 1.0, 1.0]
    scores = judge.scores(frames, [judge.spell(word) for word in ("when", "plenty", "comes")], spans)
    assert scores[1] < MISSING


def test_a_model_that_hears_nothing_tells_no_words_apart(judge: WordJudge) -> None:
    """With the same probability for everything only the length counts, and that is the same."""
    words = [judge.spell(word) for word in ("when", "summer", "comes")]
    frames, spans = heard(judge, [word.text for word in words], 1 / 40)
    assert max(judge.scores(frames, words, spans)) < MISSING


def test_rivals_are_as_long_as_the_word_and_always_the_same(judge: WordJudge) -> None:
    rivals = judge._rivals_of(5)
    assert len(rivals) == RIVALS
    assert {rival.phonemes for rival in rivals} == {5}
    assert rivals == WordJudge(Bundle(small_model(), FeatureConfig(), small_units()))._rivals_of(5)
    assert len(judge._rivals_of(40)) == RIVALS  # no word is so long


def test_a_word_is_spelled_without_its_case_and_punctuation(judge: WordJudge) -> None:
    assert judge.spell("“Don’t!”").ways == judge.spell("don't").ways
    assert judge.spell("—").ways == {}
    assert len(judge.spell("read").ways["phoneme"]) == 2


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.data())
def test_a_stretch_of_frames_is_a_slice_of_the_whole(parts: list[int], data: st.DataObject) -> None:
    whole, frames = np.arange(3.0 * sum(parts), dtype=np.float32).reshape(-1, 3), Frames()
    for part in np.split(whole, np.cumsum(parts)[:-1]):
        frames.add(part)
    first = data.draw(st.integers(0, len(whole) - 1))
    last = data.draw(st.integers(first + 1, len(whole)))
    assert len(frames) == len(whole)
    torch.testing.assert_close(frames.stretch(first, last), torch.from_numpy(whole[first:last]))
    np.testing.assert_array_equal(frames.whole(), whole)


@pytest.mark.skipif(not (MODELS / "small").is_dir(), reason="there is no packaged model")
def test_in_real_recordings_wrong_words_are_found_and_true_ones_are_not_blamed() -> None:
    recognizer, draw = Recognizer.load("small", device="cpu", decoding="greedy"), random.Random(1)
    judge, blamed, found = WordJudge(recognizer.bundle), [], []
    for path in RECORDINGS:
        said = path.with_suffix(".txt").read_text(encoding="utf-8").split()
        true = align_text(recognizer, path, " ".join(said), name=path.name, judge=judge).transcript.words
        blamed += [word.confidence < MISSING for word in true]
        place = draw.randrange(len(said))
        said[place] = draw.choice(["elephant", "purple", "concrete", "museum", "yesterday"])
        changed = align_text(recognizer, path, " ".join(said), name=path.name, judge=judge).transcript.words
        found.append(changed[place].confidence < MISSING)
    assert sum(blamed) <= 0.05 * len(blamed)
    assert sum(found) >= 0.6 * len(found)
