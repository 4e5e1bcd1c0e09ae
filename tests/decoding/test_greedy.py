import itertools

import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.greedy import decode_greedily, words_of
from asr.model.units import ListedUnits

PIECES = ("<blank>", "▁a", "b", "▁c")


def peaked(ids: list[int], size: int = 4) -> torch.Tensor:
    return torch.nn.functional.one_hot(torch.tensor(ids), size).float().mul(8).log_softmax(-1)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=12))
def test_it_is_the_collapsed_path_of_highest_probability(ids: list[int]) -> None:
    expected = [k for k, _ in itertools.groupby(ids) if k]
    [tokens] = decode_greedily(peaked(ids)[None], torch.tensor([len(ids)]))
    assert [token.id for token in tokens] == expected


@given(seed=st.integers(0, 500))
def test_it_agrees_with_brute_force_over_all_paths(seed: int) -> None:
    log_probs = torch.randn(5, 3, generator=torch.Generator().manual_seed(seed)).log_softmax(-1)
    paths = itertools.product(range(3), repeat=5)
    best = max(paths, key=lambda path: float(sum(log_probs[t, k] for t, k in enumerate(path))))
    [tokens] = decode_greedily(log_probs[None], torch.tensor([5]))
    assert [token.id for token in tokens] == [k for k, _ in itertools.groupby(best) if k]


def test_company_is_invisible_and_length_ends_a_stream() -> None:
    both = torch.stack([peaked([1, 2, 0, 3]), peaked([3, 0, 1, 1])])
    first, second = decode_greedily(both, torch.tensor([4, 2]))
    assert [token.id for token in first] == [1, 2, 3]
    assert [token.id for token in second] == [3]


def test_tokens_say_where_they_are() -> None:
    [tokens] = decode_greedily(peaked([0, 1, 1, 0, 2])[None], torch.tensor([5]))
    assert [(token.start, token.end) for token in tokens] == [(1, 3), (4, 5)]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30))
def test_words_are_in_order_inside_the_utterance_and_their_text_is_that_of_the_tokens(ids: list[int]) -> None:
    [tokens] = decode_greedily(peaked(ids)[None], torch.tensor([len(ids)]))
    words = words_of(tokens, PIECES, frame_s=0.04, end_s=len(ids) * 0.04)
    text = ListedUnits(PIECES).decode([token.id for token in tokens])
    assert " ".join(word.text for word in words) == text
    times = [t for word in words for t in (word.start_s, word.end_s)]
    assert times == sorted(times)
    assert all(0 <= t <= len(ids) * 0.04 + 1e-9 for t in times)
    assert all(0 < word.confidence <= 1 for word in words)


def test_nothing_heard_is_no_words() -> None:
    assert words_of([], PIECES, frame_s=0.04, end_s=1.0) == ()
