import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.features import augmentation
from asr.features.augmentation import AugmentationConfig
from tests.conftest import noise

ALWAYS = AugmentationConfig(speed_chance=1, room_chance=1, noise_chance=1, band_chance=1)


def tone(hz: float, samples: int = 16_000) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(samples) / 16_000).astype(np.float32) * 0.5


@given(seed=st.integers(0, 1000))
def test_the_same_draw_gives_the_same_samples_and_they_stay_in_range(seed: int) -> None:
    clips = [noise(3000, 1).numpy()]
    made = [
        augmentation.augment_samples(ALWAYS, tone(440), noises=clips, rooms=clips, rng=np.random.default_rng(seed))
        for _ in range(2)
    ]
    assert np.array_equal(made[0], made[1])
    assert made[0].dtype == np.float32
    assert np.isfinite(made[0]).all()
    assert np.abs(made[0]).max() <= 1


def test_silence_stays_finite() -> None:
    silent = np.zeros(8000, np.float32)
    clips = [noise(3000).numpy()]
    made = augmentation.augment_samples(ALWAYS, silent, noises=clips, rooms=clips, rng=np.random.default_rng(0))
    assert np.isfinite(made).all()


def test_noise_is_added_at_the_ratio_asked_for() -> None:
    speech, hiss = tone(300), noise(5000).numpy()
    added = augmentation.add_noise(speech, hiss, 10.0) - speech
    ratio = 10 * np.log10((speech**2).mean() / (added**2).mean())
    assert abs(ratio - 10) < 0.1


def test_faster_is_shorter() -> None:
    assert abs(len(augmentation.change_speed(tone(300), 1.1)) - 16_000 / 1.1) < 20


def test_a_room_keeps_the_length_and_the_direct_sound_in_place() -> None:
    click = np.zeros(1000, np.float32)
    click[100] = 1
    response = np.zeros(300, np.float32)
    response[50], response[200] = 0.9, 0.3
    wet = augmentation.add_room(click, response)
    assert len(wet) == 1000
    assert abs(wet[100] - 0.9) < 1e-5
    assert abs(wet[250] - 0.3) < 1e-5


def test_a_limited_band_holds_nothing_above() -> None:
    assert np.abs(augmentation.limit_band(tone(6000), 4000)[500:-500]).max() < 0.01
    assert np.abs(augmentation.limit_band(tone(1000), 4000)[500:-500]).max() > 0.45


def test_masks_set_whole_spans_to_the_fill_and_leave_the_input_alone() -> None:
    frames, fill = torch.ones(500, 80), torch.full((80,), 7.0)
    masked = augmentation.mask_features(AugmentationConfig(), frames, fill, np.random.default_rng(3))
    assert torch.equal(frames, torch.ones(500, 80))
    assert set(masked.unique().tolist()) == {1.0, 7.0}
    assert (masked == 7).all(dim=1).any()
    assert (masked == 7).all(dim=0).any()
