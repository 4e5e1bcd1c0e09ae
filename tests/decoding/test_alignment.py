"""Laws of forced alignment."""

import itertools
import tracemalloc

import numpy as np
import pytest

from asr.decoding.alignment import align, align_states
from asr.errors import AlignmentError


def log_probs(frames: int, tokens: int, seed: int) -> np.ndarray:
    """(T', V) of noise."""
    scores = np.random.default_rng(seed).normal(size=(frames, tokens)) * 2
    return np.asarray(scores - np.log(np.exp(scores).sum(axis=1, keepdims=True)))


def collapsed(path: tuple[int, ...]) -> list[int]:
    return [label for label, _ in itertools.groupby(path) if label]


@pytest.mark.parametrize("tokens", [[1], [1, 2], [1, 1], [2, 1, 2], [2, 2, 1]])
@pytest.mark.parametrize("seed", range(4))
def test_the_path_is_the_best_of_all_paths(tokens: list[int], seed: int) -> None:
    given = log_probs(6, 3, seed)
    paths = [path for path in itertools.product(range(3), repeat=6) if collapsed(path) == tokens]
    best = max(sum(given[range(6), path]) for path in paths)
    labels = [0 if state % 2 == 0 else tokens[state // 2] for state in align_states(given, tokens)]
    assert collapsed(tuple(labels)) == tokens
    assert sum(given[range(6), labels]) == pytest.approx(best)


def test_tokens_lie_where_they_are_certain() -> None:
    given = np.full((9, 3), np.log(0.01))
    for frame, label in enumerate([0, 1, 1, 0, 0, 2, 0, 2, 0]):
        given[frame, label] = np.log(0.98)
    found = align(given, [1, 2, 2])
    assert [(token.start, token.end) for token in found] == [(1, 3), (5, 6), (7, 8)]
    assert [token.posterior for token in found] == pytest.approx([0.98] * 3)


def test_text_longer_than_the_recording_is_an_error() -> None:
    with pytest.raises(AlignmentError, match="needs 3 frames"):
        align(log_probs(2, 3, 0), [1, 1])
    assert align(log_probs(2, 3, 0), []) == []


def test_memory_grows_far_slower_than_states_times_frames() -> None:
    given, tokens = log_probs(4000, 5, 0), np.random.default_rng(0).integers(1, 5, 1200).tolist()
    tracemalloc.start()
    align(given, tokens)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4_000_000  # one byte a state and frame were 9.6 million
