"""What each condition does to a signal whose answer is known."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.errors import ConfigError
from asr.evaluation import rooms, stress
from asr.evaluation.report.stress_page import stress_page, stress_table
from asr.evaluation.stress import StressConfig, conditions
from asr.evaluation.transcribing import Samples
from pipelines.stress_sweep import read_stress_config, spread


def tone(hertz: float, seconds: float = 1.0, level: float = 0.3) -> Samples:
    return (level * np.sin(2 * np.pi * hertz * np.arange(int(16000 * seconds)) / 16000)).astype(np.float32)


def decibels(samples: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


@pytest.mark.parametrize("snr_db", [20.0, 0.0, -5.0])
def test_noise_has_the_power_asked_for(tmp_path: Path, snr_db: float) -> None:
    soundfile.write(tmp_path / "n.wav", np.random.default_rng(0).normal(0, 0.1, 40_000), 16000)
    clean = tone(440)
    for files in ((), (tmp_path / "n.wav",)):
        noise = stress.add_noise(files, clean, snr_db, "u1") - clean
        assert decibels(clean) - decibels(noise) == pytest.approx(snr_db, abs=0.1)


def test_a_telephone_takes_low_and_high_tones_away_and_leaves_the_middle() -> None:
    changes = {
        hertz: decibels(stress.telephone(tone(hertz), 8.0, "u")) - decibels(tone(hertz)) for hertz in (80, 1000, 5000)
    }
    assert changes[80] < -20
    assert abs(changes[1000]) < 1
    assert changes[5000] < -25


def test_speed_clipping_and_level_by_their_numbers() -> None:
    sound = tone(440)
    assert len(stress.change_speed(sound, 1.25, "u")) == pytest.approx(16000 / 1.25, abs=2)
    assert np.abs(stress.clip(sound, 6.0, "u")).max() == pytest.approx(0.3 * 10 ** (-0.3), rel=0.01)
    assert decibels(stress.change_level(sound, -20.0, "u")) == pytest.approx(decibels(sound) - 20, abs=0.05)


def test_a_room_keeps_the_direct_sound_in_its_place_and_rings_on() -> None:
    click = np.zeros(16000, np.float32)
    click[1000] = 1.0
    wet = stress.add_room(click, 0.5, "u")
    assert int(np.abs(wet).argmax()) == 1000
    early, late = (decibels(wet[1000 + a : 1000 + a + 1600]) for a in (800, 4800))
    assert early - late == pytest.approx(60 * 0.25 / 0.5, abs=4)


@pytest.mark.parametrize("t60_s", [0.2, 0.6, 1.5])
def test_the_reverberation_time_of_a_falling_noise_is_its_own(t60_s: float) -> None:
    time = np.arange(int(16000 * 1.2 * t60_s)) / 16000
    response = np.random.default_rng(0).standard_normal(len(time)) * 10 ** (-3 * time / t60_s)
    assert rooms.reverberation_time(response.astype(np.float32)) == pytest.approx(t60_s, rel=0.05)
    assert rooms.reverberation_time(np.zeros(0, np.float32)) == 0


def test_a_recorded_room_is_the_nearest_one_as_loud_as_before_and_in_its_place(tmp_path: Path) -> None:
    rng, before = np.random.default_rng(0), np.zeros(500)
    for t60_s in (0.2, 0.21, 0.22, 0.23, 2.0):
        tail = rng.standard_normal(16000) * 10 ** (-3 * np.arange(16000) / 16000 / t60_s)
        soundfile.write(tmp_path / f"{t60_s}.wav", np.concatenate([before, [0.9], 0.05 * tail]), 16000)
    click = np.zeros(16000, np.float32)
    click[1000] = 1.0
    wet = stress.add_recorded_room(rooms.response_files(tmp_path), click, 0.2, "u")
    assert int(np.abs(wet).argmax()) == 1000
    assert decibels(wet) == pytest.approx(decibels(click), abs=0.1)
    assert decibels(wet[1000 + 3200 :]) < decibels(wet) - 50  # the long one is never drawn
    with pytest.raises(ConfigError, match="room_folder"):
        rooms.response_files(tmp_path / "nowhere")


def test_every_condition_gives_finite_samples_and_the_same_ones_again() -> None:
    for condition in conditions(StressConfig()):
        first, again = (condition.change(tone(300), "utterance") for _ in range(2))
        assert np.isfinite(first).all(), condition.label
        np.testing.assert_array_equal(first, again)
        assert first.dtype == np.float32
        assert condition.change(np.zeros(0, np.float32), "empty").shape == (0,)


def test_a_codec_with_fewer_bits_is_farther_from_the_original() -> None:
    rng = np.random.default_rng(0)
    sound = (tone(300) + tone(1234) + rng.normal(0, 0.02, 16000)).astype(np.float32)
    errors = [decibels(stress.opus(sound, kbit, "u") - sound) for kbit in (64.0, 6.0)]
    assert errors[0] < errors[1]


def test_a_folder_without_noise_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="leave the key out"):
        conditions(StressConfig(noise_folder=tmp_path))


def test_the_config_in_the_repository_has_no_unknown_key_and_an_unknown_one_is_refused(tmp_path: Path) -> None:
    path = Path(__file__).parents[2] / "configs" / "stress.yaml"
    config = read_stress_config(path)
    assert config.noise_folder == path.parent / "../../shared/noise/test"
    assert config.room_folder == path.parent / "../../shared/rir/real"
    assert config.noise_snr_db == StressConfig().noise_snr_db
    (tmp_path / "x.yaml").write_text("nois: [1]\n")
    with pytest.raises(ConfigError, match="nois"):
        read_stress_config(tmp_path / "x.yaml")


def test_a_part_of_a_set_is_spread_evenly() -> None:
    assert spread(list(range(10)), 5) == [0, 2, 4, 6, 8]  # type: ignore[arg-type,comparison-overlap]
    assert spread([1, 2], 5) == [1, 2]  # type: ignore[list-item,comparison-overlap]


def test_the_page_has_one_row_and_one_dot_for_each_condition() -> None:
    score = {"wer_low": 1.0, "wer_high": 30.0, "cer": 5.0, "words": 100, "deletions": 3, "insertions": 2}
    rows = [
        {"kind": "as recorded", "label": "", "wer": 10.0, **score},
        {"kind": "noise", "label": "5 dB SNR", "wer": 25.0, **score},
    ]
    assert stress_table(rows)[2] == ["noise", "5 dB SNR", "25.0", "1.0–30.0", "+15.0", "5.0", "3.0", "2.0"]
    assert stress_page(rows, title="small").count("<circle") == 2
