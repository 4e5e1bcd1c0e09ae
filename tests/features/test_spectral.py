import pickle

import librosa
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.features import spectral
from asr.features.spectral import FeatureConfig
from tests.conftest import noise

KINDS = [FeatureConfig(), FeatureConfig(kind="mfcc")]


def features_of(config: FeatureConfig, samples: torch.Tensor, cuts: list[int]) -> torch.Tensor:
    state, parts = spectral.start(config), []
    for begin, end in zip([0, *cuts], [*cuts, len(samples)], strict=True):
        state = pickle.loads(pickle.dumps(state))
        state, frames = spectral.step(config, state, samples[begin:end])
        parts.append(frames)
    return torch.cat([*parts, spectral.finish(config, state)])


@pytest.mark.parametrize("config", KINDS, ids=["logmel", "mfcc"])
@given(length=st.integers(0, 4000), cuts=st.lists(st.integers(0, 4000), max_size=6))
def test_borders_are_invisible(config: FeatureConfig, length: int, cuts: list[int]) -> None:
    cuts = sorted(min(cut, length) for cut in cuts)
    whole = spectral.extract(config, noise(length))
    torch.testing.assert_close(features_of(config, noise(length), cuts), whole, rtol=1e-4, atol=1e-4)


def test_one_sample_at_a_time_gives_the_whole() -> None:
    config = FeatureConfig()
    torch.testing.assert_close(
        features_of(config, noise(1234), list(range(1234))), spectral.extract(config, noise(1234)), rtol=1e-4, atol=1e-4
    )


@given(length=st.integers(0, 5000))
def test_every_sample_is_in_a_frame_and_no_frame_is_without_samples(length: int) -> None:
    config = FeatureConfig()
    frames = spectral.extract(config, noise(length))
    assert frames.shape == (config.frames(length), config.size)
    if length:
        last = (len(frames) - 1) * config.hop
        assert last < length <= last + config.window


def test_the_state_keeps_no_more_than_a_window_and_is_not_a_view() -> None:
    config = FeatureConfig()
    state, _ = spectral.step(config, spectral.start(config), noise(160_000))
    assert len(state.tail) < config.window
    assert len(pickle.dumps(state)) < 4000


def test_a_step_does_not_write_into_the_state_given() -> None:
    config = FeatureConfig()
    state, _ = spectral.step(config, spectral.start(config), noise(500))
    before = state.tail.clone()
    spectral.step(config, state, noise(700))
    assert torch.equal(state.tail, before)


def test_log_mel_is_librosas_mel() -> None:
    config, samples = FeatureConfig(), noise(16_000)
    theirs = librosa.feature.melspectrogram(
        y=samples.numpy(), sr=16_000, n_fft=400, hop_length=160, n_mels=80, center=False, power=2.0
    )
    expected = torch.from_numpy(np.log(theirs.T + config.floor))
    torch.testing.assert_close(spectral.extract(config, samples)[: len(expected)], expected, rtol=1e-3, atol=1e-3)


def test_mfcc_is_librosas_mfcc_of_the_same_log_mel() -> None:
    config, samples = FeatureConfig(kind="mfcc"), noise(16_000)
    log_mel = spectral.extract(FeatureConfig(), samples).numpy()
    expected = torch.from_numpy(librosa.feature.mfcc(S=log_mel.T, n_mfcc=config.coefficients).T.copy())
    torch.testing.assert_close(spectral.extract(config, samples), expected, rtol=1e-3, atol=1e-3)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ConfigError, match="hop"):
        FeatureConfig(hop=0)
    with pytest.raises(ConfigError, match="logmel or mfcc"):
        FeatureConfig(kind="plp")  # type: ignore[arg-type]
