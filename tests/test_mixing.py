from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from asr.audio import mixing
from asr.audio.microphone import Notice
from asr.audio.mixing import OPPOSITE
from asr.audio.parts import Part
from asr.audio.reader import read_audio, read_blocks
from asr.errors import AudioError
from pipelines.live_sources import play
from tests.recordings import speech, tone

RATE = 16_000
SPEECH = speech(2, pause_s=0.4)


def noise(samples: int, loud: float, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, loud, samples).astype(np.float32)


def mixed(channels: np.ndarray, cuts: list[int], rate: int = RATE) -> np.ndarray:
    """(S, C) pushed in pieces -> (S,)."""
    state, parts = mixing.start(channels.shape[1]), []
    for piece in np.split(channels, sorted(cuts)):
        state, mono = mixing.step(state, piece, rate)
        parts.append(mono)
    return np.concatenate([*parts, mixing.finish(state)])


def test_of_channels_in_opposite_phase_the_sound_stays_and_it_is_said(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([SPEECH, -SPEECH], 1), RATE, subtype="FLOAT")
    said: list[str] = []
    heard = np.concatenate(list(read_blocks(tmp_path / "a.wav", tell=said.append)))
    np.testing.assert_allclose(heard, SPEECH, atol=1e-6)
    played = list(play(tmp_path / "a.wav", 0))
    notices = [part.message for part in played if isinstance(part, Notice)]
    assert notices == [f"{tmp_path / 'a.wav'}: {said[0]}"] == [f"{tmp_path / 'a.wav'}: {OPPOSITE}"]


def test_other_channels_are_mixed_as_their_mean_to_the_last_bit() -> None:
    left, right = SPEECH, np.roll(SPEECH, 9_000)
    hiss = noise(len(left), 0.01)
    for channels in ([left, left], [left, right], [left, 0 * left], [0 * left, 0 * left], [left, 0.3 * left + hiss]):
        block = np.stack(channels, 1).astype(np.float32)
        np.testing.assert_array_equal(mixed(block, [7, 20_000]), block.mean(axis=1, dtype=np.float32))
    one = left[:, None]
    np.testing.assert_array_equal(mixed(one, [5]), left)


def test_an_uneven_pair_with_its_own_noises_is_turned_round_and_stays_so_through_pauses() -> None:
    left, right = SPEECH + noise(len(SPEECH), 2e-4, 1), -0.8 * SPEECH + noise(len(SPEECH), 2e-4, 2)
    block = np.stack([left, right], 1).astype(np.float32)
    np.testing.assert_allclose(mixed(block, [])[RATE:], (left - right)[RATE:] / 2, atol=1e-6)


def test_a_hum_and_an_offset_of_opposite_sign_do_not_turn_speech_against_itself() -> None:
    hum = 0.05 * tone(len(SPEECH) / RATE, RATE, 50.0)[: len(SPEECH)]
    block = np.stack([SPEECH + 0.3 + hum, SPEECH - 0.3 - hum], 1).astype(np.float32)
    np.testing.assert_allclose(mixed(block, []), SPEECH, atol=1e-6)


def test_where_the_phase_turns_in_the_middle_the_mix_has_followed_after_four_seconds() -> None:
    there = np.concatenate([np.stack([SPEECH, SPEECH], 1), np.stack([SPEECH, -SPEECH], 1)])
    heard, turn = mixed(there, []), len(SPEECH)
    np.testing.assert_allclose(heard[:turn], SPEECH, atol=1e-6)
    np.testing.assert_allclose(heard[turn + 4 * RATE :], SPEECH[4 * RATE :], atol=1e-6)


def test_more_channels_of_which_some_are_silent_are_turned_round_alike() -> None:
    silent = np.zeros_like(SPEECH)
    block = np.stack([silent, -SPEECH, SPEECH, silent], 1)
    np.testing.assert_allclose(mixed(block, []), -SPEECH / 2, atol=1e-6)


@given(cuts=st.lists(st.integers(0, 30_000), max_size=8))
def test_the_mix_does_not_depend_on_how_the_samples_are_cut(cuts: list[int]) -> None:
    quiet = noise(30_000, 1e-4)
    right = np.concatenate([SPEECH[:9_000], -SPEECH[9_000:30_000]])
    block = np.stack([SPEECH[:30_000], right + quiet], 1).astype(np.float32)
    np.testing.assert_array_equal(mixed(block, cuts), mixed(block, []))


def test_what_comes_later_changes_nothing_that_was_mixed_before() -> None:
    block = np.stack([SPEECH, -SPEECH], 1)
    other = np.concatenate([block[:RATE], np.stack([SPEECH, SPEECH], 1)])
    np.testing.assert_array_equal(mixed(block, [])[:RATE], mixed(other, [])[:RATE])


@pytest.mark.parametrize("rate", [16_000, 44_100])
def test_a_file_in_opposite_phase_is_the_same_however_long_its_blocks_are(tmp_path: Path, rate: int) -> None:
    sound = tone(3.0, rate)
    soundfile.write(tmp_path / "a.flac", np.stack([sound, -sound], 1), rate)
    whole = read_audio(tmp_path / "a.flac")
    assert 0.3 < np.abs(whole).max() < 0.36
    for block_s in (0.013, 0.5):
        pieces = list(read_blocks(tmp_path / "a.flac", block_s=block_s))
        np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


def test_a_container_and_a_part_in_opposite_phase_are_heard(tmp_path: Path) -> None:
    sound = tone(4.0, 48_000)
    with av.open(tmp_path / "a.mka", "w") as container:
        stream = container.add_stream("pcm_s16le", rate=48_000)
        stream.layout = "stereo"
        frame = av.AudioFrame.from_ndarray(np.stack([sound, -sound]), format="fltp", layout="stereo")
        frame.rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    whole = read_audio(tmp_path / "a.mka")
    assert 0.3 < np.abs(whole[1000:-1000]).max() < 0.36
    part = read_audio(Part(tmp_path / "a.mka", 2.5, 1.0))
    np.testing.assert_allclose(part, whole[40_000:56_000], atol=1e-4)


def test_values_that_are_no_numbers_are_named_in_many_channels_too(tmp_path: Path) -> None:
    block = np.stack([SPEECH, -SPEECH], 1)
    block[8_000] = np.nan
    soundfile.write(tmp_path / "nan.wav", block, RATE, subtype="FLOAT")
    with pytest.raises(AudioError, match="not finite"):
        read_audio(tmp_path / "nan.wav")
