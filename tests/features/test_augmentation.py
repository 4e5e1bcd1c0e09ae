import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.features import augmentation, spectral
from asr.features.augmentation import AugmentationConfig
from asr.features.spectral import FeatureConfig
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


LOGMEL = FeatureConfig()


def features(samples: np.ndarray) -> torch.Tensor:
    return spectral.extract(LOGMEL, torch.from_numpy(samples))


def in_another_voice(samples: np.ndarray, tract: float = 1.0, colour_db: float = 0.0) -> torch.Tensor:
    config = AugmentationConfig(voice_chance=1, tract=(tract, tract), colour_db=colour_db)
    return augmentation.change_voice(config, LOGMEL, features(samples), np.random.default_rng(0))


def test_the_same_voice_at_the_same_pace_is_the_same() -> None:
    frames = features(noise(16_000).numpy())
    same_pace = AugmentationConfig(tempo_chance=1, tempo=(1, 1))
    assert torch.allclose(in_another_voice(noise(16_000).numpy()), frames, atol=1e-4)
    assert torch.allclose(augmentation.change_pace(same_pace, frames, np.random.default_rng(0)), frames, atol=1e-4)


@pytest.mark.parametrize(("hz", "scale"), [(1000, 1.12), (2500, 0.88), (400, 1.1)])
def test_another_tract_puts_a_tone_where_its_scale_says_and_every_frame_stays(hz: float, scale: float) -> None:
    moved, expected = in_another_voice(tone(hz), tract=scale), features(tone(hz * scale))
    assert moved.shape == expected.shape
    assert abs(int(moved[50].argmax()) - int(expected[50].argmax())) <= 1


def test_another_pace_changes_the_length_and_keeps_the_pitch() -> None:
    quicker = AugmentationConfig(tempo_chance=1, tempo=(1.25, 1.25))
    frames = features(tone(1000))
    moved = augmentation.change_pace(quicker, frames, np.random.default_rng(0))
    assert len(moved) == round(len(frames) / 1.25)
    assert moved[40].argmax() == frames[40].argmax()


def test_another_microphone_colours_every_frame_alike() -> None:
    samples = noise(16_000).numpy()
    added = in_another_voice(samples, colour_db=3.0) - features(samples)
    assert torch.allclose(added, added[:1].expand_as(added), atol=1e-4)
    assert added[0].abs().max() > 0.1
