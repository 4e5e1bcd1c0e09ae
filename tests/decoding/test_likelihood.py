import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.likelihood import ctc_log_likelihoods
from tests.conftest import noise

SIZE = 6
sequences = st.lists(st.lists(st.integers(1, SIZE - 1), max_size=9), min_size=1, max_size=5)


def random_log_probs(frames: int, seed: int, scale: float = 2.0) -> torch.Tensor:
    return (noise(frames * SIZE, seed).view(frames, SIZE) * scale).log_softmax(1)


def by_torch(labels: list[list[int]], log_probs: torch.Tensor) -> torch.Tensor:
    return torch.stack(
        [
            -torch.nn.functional.ctc_loss(
                log_probs[:, None].double(),
                torch.tensor(ids, dtype=torch.long),
                torch.tensor([len(log_probs)]),
                torch.tensor([len(ids)]),
                reduction="sum",
            )
            for ids in labels
        ]
    )


@given(labels=sequences, frames=st.integers(1, 20), seed=st.integers(0, 1000))
def test_likelihoods_are_those_of_torchs_ctc_loss_together_and_alone(
    labels: list[list[int]], frames: int, seed: int
) -> None:
    log_probs = random_log_probs(frames, seed)
    found = ctc_log_likelihoods(labels, log_probs)
    torch.testing.assert_close(found, by_torch(labels, log_probs))
    for ids, together in zip(labels, found, strict=True):
        assert ctc_log_likelihoods([ids], log_probs)[0] == together


def test_all_sequences_together_are_certain() -> None:
    log_probs = random_log_probs(3, 1)
    tokens = range(1, SIZE)
    labels = [[], *([a] for a in tokens), *([a, b] for a in tokens for b in tokens)]
    labels += [[a, b, c] for a in tokens for b in tokens for c in tokens]
    torch.testing.assert_close(ctc_log_likelihoods(labels, log_probs).exp().sum().item(), 1.0)


def test_a_sequence_that_needs_more_frames_has_no_likelihood() -> None:
    log_probs = random_log_probs(3, 1)
    found = ctc_log_likelihoods([[1, 1], [1, 1, 2], [1, 2, 3, 4], []], log_probs)
    assert found.isfinite().tolist() == [True, False, False, True]


def test_what_is_too_unlikely_to_be_multiplied_is_still_summed() -> None:
    log_probs = random_log_probs(60, 2, scale=200.0)
    found = ctc_log_likelihoods([[1, 2, 3] * 15], log_probs)
    assert found[0] < -745  # the smallest double is exp(-745)
    torch.testing.assert_close(found, by_torch([[1, 2, 3] * 15], log_probs))
