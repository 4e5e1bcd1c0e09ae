from dataclasses import replace
from pathlib import Path

import pytest
import torch

from asr.errors import ConfigError
from asr.model.acoustic import AcousticConfig, Encoded, HeadConfig
from asr.training.config import TrainingConfig
from asr.training.consistency import disagreement
from asr.training.loop import TrainingRun
from tests.training.test_loop import small_training, tone_manifest

CONFIG = AcousticConfig(heads={"character": HeadConfig("character", 4)})
TARGETS: dict[str, list[list[int] | None]] = {"character": [[1, 2, 3], [2], [1, 2, 3], [2]]}


def views(a: torch.Tensor, b: torch.Tensor) -> Encoded:
    return Encoded({"character": torch.cat([a, b]).log_softmax(-1)}, torch.tensor([9, 5, 9, 5]))


def test_views_that_agree_cost_nothing_and_others_what_the_divergences_say() -> None:
    a, b = torch.randn(2, 2, 9, 6)
    assert disagreement(CONFIG, views(a, a), TARGETS) == pytest.approx(0.0, abs=1e-6)
    p, q = (torch.cat([x[0], x[1, :5]]).softmax(-1) for x in (a, b))
    expected = 0.5 * ((p * (p / q).log()).sum() + (q * (q / p).log()).sum()) / 4
    torch.testing.assert_close(disagreement(CONFIG, views(a, b), TARGETS), expected)


def test_padding_says_nothing_and_streams_of_unknown_text_count() -> None:
    a, b = torch.randn(2, 2, 9, 6)
    before = disagreement(CONFIG, views(a, b), TARGETS)
    b[1, 5:] += 3.0
    assert torch.equal(disagreement(CONFIG, views(a, b), TARGETS), before)
    unknown: dict[str, list[list[int] | None]] = {"character": [[1, 2, 3], None, [1, 2, 3], None]}
    torch.testing.assert_close(disagreement(CONFIG, views(a, b), unknown), before * 4 / 3)
    nothing: dict[str, list[list[int] | None]] = {"character": [None] * 4}
    long = Encoded({"character": torch.randn(4, 200, 6).log_softmax(-1)}, torch.tensor([200] * 4))
    frame = disagreement(CONFIG, long, {"character": [[1] * 200] * 4})
    torch.testing.assert_close(disagreement(CONFIG, long, nothing), 10 * frame)


def test_each_view_is_pulled_to_the_other_which_stands_still() -> None:
    a, b = torch.randn(2, 2, 9, 6)
    a.requires_grad_()
    (slope,) = torch.autograd.grad(disagreement(CONFIG, views(a, b), TARGETS), a)
    p, q = a.detach().softmax(-1), b.softmax(-1)  # of a cross entropy to a fixed q the slope is p - q
    torch.testing.assert_close(slope[0], 0.5 * (p - q)[0] / 4)


def test_the_two_views_are_the_same_sound_under_other_masks(tmp_path: Path) -> None:
    config = small_training(tone_manifest(tmp_path), consistency=0.2)
    run = TrainingRun(replace(config, augment_from_epoch=0), tmp_path / "run")
    for _ in range(3):
        batch = run._next_batch()
        assert batch.masked_again is not None
        same = (batch.features == batch.masked_again).float().mean()
        assert 0.2 < same < 1.0


def test_two_views_need_masks(tmp_path: Path) -> None:
    config: TrainingConfig = small_training(tone_manifest(tmp_path))
    with pytest.raises(ConfigError, match="consistency"):
        replace(config, consistency=0.2, augmentation=None)
