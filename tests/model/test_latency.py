import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asr.errors import ConfigError
from asr.model import latency
from asr.model.acoustic import AcousticModel
from asr.model.latency import LatencyConfig
from tests.conftest import small_model

HEADS = ("character", "phoneme")
SMALL = LatencyConfig(centre=3, right=2)
CELLS = ["rnn", "gru", "lstm"]


def random_features(length: int, seed: int = 0) -> Tensor:
    return torch.randn(length, 80, generator=torch.Generator().manual_seed(seed))


def stream(model: AcousticModel, config: LatencyConfig, frames: Tensor, cuts: list[int]) -> dict[str, Tensor]:
    state, parts = latency.start(model), []
    for begin, end in zip([0, *cuts], [*cuts, len(frames)], strict=True):
        state, found = latency.step(model, config, pickle.loads(pickle.dumps(state)), frames[begin:end], HEADS)
        parts.append(found)
    parts.append(latency.finish(model, config, state, HEADS))
    return {head: torch.cat([part[head] for part in parts]) for head in HEADS}


def close(one: dict[str, Tensor], other: dict[str, Tensor]) -> None:
    for head, expected in other.items():
        torch.testing.assert_close(one[head], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("factor", [4, 8])
@given(length=st.integers(0, 120), cuts=st.lists(st.integers(0, 120), max_size=5))
def test_borders_are_invisible(cell: str, factor: int, length: int, cuts: list[int]) -> None:
    model = small_model(cell=cell, subsampling=factor)
    cuts = sorted(min(cut, length) for cut in cuts)
    frames = random_features(length)
    close(stream(model, SMALL, frames, cuts), stream(model, SMALL, frames, []))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [True, False])
@given(length=st.integers(1, 100))
def test_a_window_that_holds_everything_is_the_full_pass(cell: str, bidirectional: bool, length: int) -> None:
    model = small_model(cell=cell, bidirectional=bidirectional)
    frames = random_features(length)
    whole = model(frames[None], torch.tensor([length]))
    expected = {head: whole.log_probs[head][0] for head in HEADS}
    close(stream(model, LatencyConfig(centre=20, right=10), frames, [length // 2]), expected)


@given(length=st.integers(1, 100), centre=st.integers(1, 5))
def test_a_model_of_one_direction_streams_exactly_without_right_context(length: int, centre: int) -> None:
    model = small_model(bidirectional=False)
    frames = random_features(length)
    whole = model(frames[None], torch.tensor([length]))
    expected = {head: whole.log_probs[head][0] for head in HEADS}
    close(stream(model, LatencyConfig(centre=centre, right=0), frames, [length // 3]), expected)


@given(lengths=st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_company_is_invisible(lengths: list[int]) -> None:
    model = small_model()
    streams = [random_features(length, seed) for seed, length in enumerate(lengths)]
    states = [latency.start(model) for _ in streams]
    parts: list[list[dict[str, Tensor]]] = [[] for _ in streams]
    for first in range(0, 60, 17):
        given_now = [(state, frames[first : first + 17]) for state, frames in zip(states, streams, strict=True)]
        for i, (state, found) in enumerate(latency.step_many(model, SMALL, given_now, HEADS)):
            states[i] = state
            parts[i].append(found)
    for i, frames in enumerate(streams):
        parts[i].append(latency.finish(model, SMALL, states[i], HEADS))
        together = {head: torch.cat([part[head] for part in parts[i]]) for head in HEADS}
        close(together, stream(model, SMALL, frames, []))


def test_later_frames_never_change_what_was_given() -> None:
    model = small_model()
    frames, other = random_features(100), random_features(100, 9)
    other[:60] = frames[:60]
    _, one = latency.step(model, SMALL, latency.start(model), frames[:60], HEADS)
    whole = stream(model, SMALL, other, [60])
    close({head: whole[head][: len(one[head])] for head in HEADS}, one)


def test_what_a_window_gives_comes_no_later_than_its_right_context() -> None:
    model = small_model()
    state, found = latency.step(model, SMALL, latency.start(model), random_features(4 * 5 - 1), HEADS)
    assert len(found["character"]) == 0
    _, found = latency.step(model, SMALL, state, random_features(1), HEADS)
    assert len(found["character"]) == SMALL.centre


def test_the_state_is_small_does_not_grow_and_is_not_written() -> None:
    model = small_model()
    state, _ = latency.step(model, SMALL, latency.start(model), random_features(300), HEADS)
    small = len(pickle.dumps(state))
    before = pickle.dumps(state)
    later = state
    for seed in range(20):
        later, _ = latency.step(model, SMALL, later, random_features(300, seed), HEADS)
        assert len(pickle.dumps(later)) < small + 4 * 80 * 4 * (SMALL.centre + SMALL.right + 2)
    assert pickle.dumps(state) == before


def test_int8_streams_too() -> None:
    from asr.model.engine import quantise

    model = quantise(small_model(cell="lstm"))
    frames = random_features(90)
    close(stream(model, SMALL, frames, [11, 50]), stream(model, SMALL, frames, []))


def test_windows_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="centre >= 1"):
        LatencyConfig(centre=0)
