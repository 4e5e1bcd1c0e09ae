from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from asr.audio.parts import Part
from asr.audio.reader import name_of, read_audio, read_blocks
from asr.errors import AudioError
from tests.recordings import speech
from tests.test_reader import cut, encode

RATE = 16_000
SPEECH = speech(2, pause_s=0.5)
KINDS = {"a.wav": 16_000, "b.wav": 44_100, "a.flac": 48_000, "a.ogg": 22_050, "a.opus": 48_000, "a.mp3": 44_100}


def write(path: Path, rate: int) -> Path:
    options = {"format": "OGG", "subtype": "OPUS"} if path.suffix == ".opus" else {}
    soundfile.write(path, soxr.resample(SPEECH, RATE, rate), rate, **options)
    return path


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("offset_s", "duration_s"), [(0.0, 0.7), (0.4, 2.0), (3.21, 1.5), (4.0, None)])
def test_a_part_is_what_the_whole_has_there(
    tmp_path: Path, name: str, offset_s: float, duration_s: float | None
) -> None:
    path = write(tmp_path / name, KINDS[name])
    part = Part(path, offset_s, duration_s)
    expected = read_audio(path)[slice(*part.bounds(RATE))]
    for block_s in (0.5, 10.0):
        found = np.concatenate(list(read_blocks(part, block_s=block_s)))
        assert len(found) == len(expected)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_a_part_of_a_container_and_of_bytes_is_what_the_whole_has_there(tmp_path: Path) -> None:
    encode(tmp_path / "a.m4a", "aac", 44_100, 5.0)
    whole = read_audio(tmp_path / "a.m4a")
    for recording in (tmp_path / "a.m4a", (tmp_path / "a.m4a").read_bytes()):
        np.testing.assert_allclose(read_audio(Part(recording, 3.3, 1.0)), whole[52_800:68_800], atol=1e-4)


def test_a_part_is_named_by_its_start_and_end_in_milliseconds() -> None:
    assert name_of(Part(Path("a/talk.wav"), 1.5, 2.25)) == "a/talk.wav@1500-3750"
    assert name_of(Part(Path("talk.wav"), 0.0004)) == "talk.wav@0-end"
    assert name_of(Part(b"", 1.0, 1.0)) == "audio bytes@1000-2000"


def test_a_part_that_the_recording_does_not_have_is_an_error_that_says_where_it_ends(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", RATE)
    ends = len(SPEECH) / RATE
    for part, said in [
        (Part(path, 60.0, 1.0), "ends before 60.0 s"),
        (Part(path, ends - 0.5, 1.0), f"the recording ends at {ends:.1f} s"),
        (Part(path, -1.0, 2.0), "begins at 0 s or later"),
        (Part(path, 1.0, 0.0), "and lasts"),
    ]:
        with pytest.raises(AudioError, match=said) as caught:
            read_audio(part)
        assert name_of(part) in str(caught.value)
    assert len(read_audio(Part(path, ends - 0.5, 0.6))) == pytest.approx(8_000, abs=1), "times in lists are rounded"


def test_a_part_before_the_damage_of_a_recording_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", RATE)
    expected = read_audio(path)[RATE : 2 * RATE]
    cut(path)
    np.testing.assert_array_equal(read_audio(Part(path, 1.0, 1.0)), expected)
    with pytest.raises(AudioError, match=r"a\.wav@1000-end: .*truncated"):
        read_audio(Part(path, 1.0))
