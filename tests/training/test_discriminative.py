from dataclasses import replace
from itertools import pairwise, product
from pathlib import Path

import pytest
import torch
from torch import Tensor

from asr.errors import ConfigError
from asr.model.units import ListedUnits
from asr.training import discriminative
from asr.training.config import TrainingConfig
from asr.training.discriminative import BEGIN, DiscriminativeConfig, SequenceLoss, log_total, mmi_loss, trigram
from asr.training.loop import TrainingRun
from pipelines.train_command import read_training_config
from tests.training.test_loop import TEXTS, assert_ten_steps_are_five_and_five, small_training, tone_manifest

SEQUENCES = [[1, 2, 2, 3], [3, 1], [2, 2, 1]]


def by_hand(log_probs: Tensor, lm: Tensor) -> Tensor:
    """The sum over all paths, one by one: what each collapses to is weighed by the trigram. (T, V) -> ()."""
    total = log_probs.new_zeros(())
    for path in product(range(log_probs.shape[1]), repeat=len(log_probs)):
        ids = [q for before, q in zip((0, *path), path, strict=False) if q and q != before]
        history = [BEGIN, BEGIN, *ids]
        prior = (
            torch.stack([lm[i, j, q] for i, j, q in zip(history, history[1:], ids, strict=False)]).prod()
            if ids
            else 1.0
        )
        total = total + prior * log_probs[range(len(path)), path].sum().exp()
    return total.log()


def test_the_sum_over_all_sequences_and_its_slope_are_those_of_every_path_added_up() -> None:
    lm = trigram(SEQUENCES, 4).double()
    raw = torch.randn(3, 5, 4, dtype=torch.double, requires_grad=True)
    lengths = torch.tensor([5, 3, 1])
    expected = torch.stack([by_hand(raw[b, :n].log_softmax(-1), lm) for b, n in enumerate(lengths.tolist())])
    found = log_total(raw.log_softmax(-1), lengths, lm)
    torch.testing.assert_close(found, expected)
    weights = torch.tensor([1.0, 2.0, 0.5], dtype=torch.double)
    (slope,) = torch.autograd.grad((found * weights).sum(), raw)
    (expected_slope,) = torch.autograd.grad((expected * weights).sum(), raw)
    torch.testing.assert_close(slope, expected_slope)


def test_where_nothing_is_preferred_all_sequences_together_are_certain() -> None:
    anything = torch.ones(40, 40, 40)
    anything[..., 0] = 0.0
    total = log_total((3 * torch.randn(2, 300, 40)).log_softmax(-1), torch.tensor([300, 90]), anything)
    torch.testing.assert_close(total, torch.zeros(2), atol=1e-3, rtol=0)


def test_the_trigram_gives_each_history_a_distribution_and_prefers_what_it_saw() -> None:
    lm = trigram(SEQUENCES, 4)
    torch.testing.assert_close(lm.sum(-1), torch.ones(4, 4))
    assert (lm[..., 0] == 0).all()
    assert (lm[..., 1:] > 0).all()
    assert lm[1, 2, 2] > lm[1, 2, 3] > 0


def test_the_loss_is_minus_the_log_of_a_share_so_that_the_shares_of_all_sequences_sum_to_one() -> None:
    lm = trigram(SEQUENCES, 4)
    log_probs = torch.randn(1, 3, 4).log_softmax(-1)
    everything = [list(ids) for n in range(4) for ids in product((1, 2, 3), repeat=n)]
    losses = [mmi_loss(log_probs, torch.tensor([3]), [ids], lm) for ids in everything]
    fits = [
        loss
        for loss, ids in zip(losses, everything, strict=True)
        if len(ids) + sum(a == b for a, b in pairwise(ids)) <= 3
    ]
    assert torch.cat(fits).neg().exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_company_padding_unknown_text_and_too_many_tokens_change_nothing_for_the_others() -> None:
    lm = trigram(SEQUENCES, 4)
    log_probs = torch.randn(4, 8, 4).log_softmax(-1)
    lengths = torch.tensor([8, 5, 6, 2])
    targets: list[list[int] | None] = [[1, 2, 2], [3], None, [1, 1]]
    losses = mmi_loss(log_probs, lengths, targets, lm)
    torch.testing.assert_close(losses[:1], mmi_loss(log_probs[:1], lengths[:1], targets[:1], lm))
    torch.testing.assert_close(losses[1:2], mmi_loss(log_probs[1:2, :5], lengths[1:2], targets[1:2], lm))
    assert losses[2:].tolist() == [0.0, 0.0]
    assert (losses[:2] > 0).all()
    assert mmi_loss(log_probs, lengths, [None] * 4, lm).tolist() == [0.0] * 4


def test_learning_makes_the_truth_certain_though_the_language_model_prefers_another() -> None:
    lm = trigram([[1, 2, 3]] * 50 + [[3, 2, 1]], 4)
    raw = torch.zeros(1, 12, 4, requires_grad=True)
    for _ in range(200):
        loss = mmi_loss(raw.log_softmax(-1), torch.tensor([12]), [[3, 2, 1]], lm).sum()
        (slope,) = torch.autograd.grad(loss, raw)
        raw = (raw - slope).detach().requires_grad_()
    assert loss < 0.1


def discriminative_training(folder: Path) -> TrainingConfig:
    (folder / "text.txt").write_text("\n".join(TEXTS) + "\n")
    against = DiscriminativeConfig("character", texts=[folder / "text.txt"], every=1)
    return replace(small_training(tone_manifest(folder), dropout=0.0), discriminative=against)


def test_a_run_that_learns_against_all_sequences_learns_what_was_said(tmp_path: Path) -> None:
    config = discriminative_training(tmp_path)
    steps = replace(config.optimiser, total_steps=60, decay_steps=10)
    run = TrainingRun(replace(config, optimiser=steps), tmp_path / "run")
    losses = [run.advance().losses["character"] for _ in range(60)]
    assert losses[-1] < 0.5 * losses[0]


def test_a_trigram_is_kept_and_counted_anew_only_for_other_texts_or_a_damaged_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, units = discriminative_training(tmp_path).discriminative, ListedUnits.characters(TEXTS)
    assert config is not None
    counted = []
    monkeypatch.setattr(discriminative, "trigram", lambda x, size: counted.append(size) or trigram(x, size))  # type: ignore[func-returns-value]
    losses = [SequenceLoss(config, units, tmp_path / "run") for _ in range(2)]
    assert torch.equal(losses[0].lm, losses[1].lm)
    assert len(counted) == 1
    (tmp_path / "run" / "trigram.safetensors").write_bytes(b"damaged")
    assert torch.equal(SequenceLoss(config, units, tmp_path / "run").lm, losses[0].lm)
    (tmp_path / "text.txt").write_text(TEXTS[0] + "\n")
    assert not torch.equal(SequenceLoss(config, units, tmp_path / "run").lm, losses[0].lm)
    assert len(counted) == 3
    (tmp_path / "text.txt").unlink()
    with pytest.raises(ConfigError, match=r"text\.txt"):
        SequenceLoss(config, units, tmp_path / "run")


def test_five_such_steps_saved_loaded_and_five_more_are_ten(tmp_path: Path) -> None:
    assert_ten_steps_are_five_and_five(discriminative_training(tmp_path), tmp_path)


def test_a_config_names_its_texts_beside_itself_and_a_head_that_there_is(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    with pytest.raises(ConfigError, match="texts"):
        DiscriminativeConfig("character")
    with pytest.raises(ConfigError, match=r"discriminative\.head.*got 'word'"):
        replace(discriminative_training(tmp_path), discriminative=DiscriminativeConfig("word", texts=[path]))
    path = tmp_path / "config.yaml"
    path.write_text("data: {train: {a.jsonl: 1.0}}\ndiscriminative: {head: subword, texts: [text.txt]}\n")
    found = read_training_config(path, []).discriminative
    assert found is not None
    assert found.texts == [tmp_path / "text.txt"]
