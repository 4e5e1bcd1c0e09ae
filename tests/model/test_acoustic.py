import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from asr.errors import ConfigError
from asr.model.acoustic import AcousticConfig
from tests.conftest import small_config, small_model

CELLS = ["rnn", "gru", "lstm"]


def random_features(length: int, seed: int = 0) -> Tensor:
    return torch.randn(length, 80, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [True, False])
@given(lengths=st.lists(st.integers(1, 60), min_size=1, max_size=4))
def test_company_and_padding_never_change_a_result(cell: str, bidirectional: bool, lengths: list[int]) -> None:
    model = small_model(cell=cell, bidirectional=bidirectional)
    streams = [random_features(length, seed) for seed, length in enumerate(lengths)]
    padded = torch.nn.utils.rnn.pad_sequence(streams, batch_first=True, padding_value=99.0)
    together = model(padded, torch.tensor(lengths))
    for i, stream in enumerate(streams):
        alone = model(stream[None], torch.tensor([len(stream)]))
        length = int(alone.lengths[0])
        assert int(together.lengths[i]) == length
        for head, expected in alone.log_probs.items():
            torch.testing.assert_close(together.log_probs[head][i, :length], expected[0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("factor", [4, 8])
@given(length=st.integers(1, 100))
def test_subsampling_rounds_up(factor: int, length: int) -> None:
    encoded = small_model(subsampling=factor)(random_features(length)[None], torch.tensor([length]))
    assert int(encoded.lengths[0]) == -(-length // factor) == encoded.log_probs["character"].shape[1]


def test_what_it_gives_are_log_probabilities_of_the_heads_asked_for() -> None:
    model = small_model()
    encoded = model(random_features(40)[None], torch.tensor([40]), ("phoneme",))
    assert list(encoded.log_probs) == ["phoneme"]
    torch.testing.assert_close(encoded.log_probs["phoneme"].exp().sum(-1), torch.ones(1, 10))


def test_the_stored_mean_and_deviation_are_used() -> None:
    model, frames = small_model(), random_features(40)[None]
    plain = model(frames, torch.tensor([40])).log_probs["character"]
    model.mean.fill_(3.0)
    model.deviation.fill_(2.0)
    scaled = model(frames * 2 + 3, torch.tensor([40])).log_probs["character"]
    torch.testing.assert_close(plain, scaled, rtol=1e-4, atol=1e-4)


def test_a_one_way_model_does_not_see_the_future_beyond_its_convolutions() -> None:
    model = small_model(bidirectional=False)
    frames, changed = random_features(80), random_features(80)
    changed[44:] = 0
    before = model(frames[None], torch.tensor([80])).log_probs["character"]
    after = model(changed[None], torch.tensor([80])).log_probs["character"]
    torch.testing.assert_close(before[:, :11], after[:, :11])  # output t sees frames up to 4·t + 3


@pytest.mark.parametrize(
    "changes", [{"cell": "transformer"}, {"subsampling": 5}, {"layers": 1}], ids=["cell", "subsampling", "head"]
)
def test_shapes_that_make_no_sense_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        small_config(**changes)
    assert AcousticConfig().cell == "lstm"
