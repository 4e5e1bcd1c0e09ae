import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.model import latency
from asr.model.latency import LatencyConfig
from asr.training.windowed import WindowedConfig, divergence, encode_windowed
from tests.conftest import small_model
from tests.model.test_latency import HEADS, random_features


@pytest.mark.parametrize("cell", ["rnn", "gru", "lstm"])
@pytest.mark.parametrize("bidirectional", [True, False])
@given(lengths=st.lists(st.integers(1, 90), min_size=1, max_size=3), centre=st.integers(1, 6), right=st.integers(0, 5))
def test_the_training_form_is_the_streamed_form(
    cell: str, bidirectional: bool, lengths: list[int], centre: int, right: int
) -> None:
    model, config = small_model(cell=cell, bidirectional=bidirectional), LatencyConfig(centre, right)
    streams = [random_features(length, seed) for seed, length in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(streams, batch_first=True, padding_value=7.0)
    with torch.no_grad():
        trained = encode_windowed(model, padded, torch.tensor(lengths), config)
    for i, frames in enumerate(streams):
        state, begun = latency.step(model, config, latency.start(model), frames, HEADS)
        ended = latency.finish(model, config, state, HEADS)
        length = int(trained.lengths[i])
        for head in HEADS:
            expected = torch.cat([begun[head], ended[head]])
            torch.testing.assert_close(trained.log_probs[head][i, :length], expected, rtol=1e-4, atol=1e-5)


def test_the_pull_moves_the_windows_and_not_the_full_pass() -> None:
    model, config = small_model(), LatencyConfig(3, 1)
    frames, lengths = torch.randn(2, 60, 80), torch.tensor([60, 41])
    full = model(frames, lengths)
    assert float(divergence(full, full).detach()) == pytest.approx(0, abs=1e-6)
    apart = divergence(encode_windowed(model, frames, lengths, config), full)
    assert float(apart.detach()) > 0
    apart.backward()
    optimiser = torch.optim.SGD(model.parameters(), 0.05)
    optimiser.step()
    with torch.no_grad():
        after = divergence(encode_windowed(model, frames, lengths, config), full)
    assert float(after) < float(apart.detach())


def test_the_draw_depends_on_seed_and_step_alone() -> None:
    config = WindowedConfig(chance=0.5)
    drawn = [config.draw(seed=1, step=step) for step in range(200)]
    assert drawn == [config.draw(seed=1, step=step) for step in range(200)]
    assert 60 < sum(x is None for x in drawn) < 140
    assert {x.centre for x in drawn if x} == {4, 8, 16}
    with pytest.raises(ConfigError, match="windowed"):
        WindowedConfig(centres=())
