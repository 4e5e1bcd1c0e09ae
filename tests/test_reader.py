import io
import os
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
import torch

from asr.audio.reader import probe_duration, read_audio, read_blocks
from asr.errors import AudioError
from tests.recordings import RECORDINGS, speech, tone


def encode(path: Path, codec: str, rate: int, seconds: float = 2.0) -> None:
    """A stereo tone through PyAV."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate)
        stream.layout = "stereo"
        samples = np.tile(tone(seconds, rate), (2, 1))
        frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)


def through_soundfile(rate: int, channels: int, **options: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        soundfile.write(path, np.tile(tone(2.0, rate)[:, None], (1, channels)), rate, **options)

    return write


WRITERS: dict[str, Callable[[Path], None]] = {
    "plain.wav": through_soundfile(16_000, 1),
    "24bit.wav": through_soundfile(96_000, 2, subtype="PCM_24"),
    "float.wav": through_soundfile(44_100, 1, subtype="FLOAT"),
    "a.flac": through_soundfile(48_000, 6),
    "a.ogg": through_soundfile(22_050, 1),
    "a.opus": through_soundfile(48_000, 1, format="OGG", subtype="OPUS"),
    "telephone.mp3": through_soundfile(8_000, 2),
    "a.aiff": through_soundfile(11_025, 1),
    "a.m4a": lambda path: encode(path, "aac", 44_100),
    "a.webm": lambda path: encode(path, "libopus", 48_000),
    "a.mp4": lambda path: encode(path, "aac", 32_000),
    "a.mkv": lambda path: encode(path, "ac3", 48_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_rate_and_channel_count_gives_the_same_sound(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    samples = read_audio(tmp_path / name)
    assert samples.dtype == np.float32
    assert abs(len(samples) - 32_000) < 1600  # some codecs add their own padding
    middle = samples[8000:24_000]
    assert 0.30 < np.abs(middle).max() < 0.36
    spectrum = np.abs(np.fft.rfft(middle))
    assert spectrum.argmax() == 440


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    through_soundfile(16_000, 1, format="FLAC")(tmp_path / "really_flac.mp3")
    assert len(read_audio(tmp_path / "really_flac.mp3")) == 32_000


@pytest.mark.parametrize("rate", [16_000, 44_100, 8_000])
def test_blocks_are_the_whole_however_long_they_are(tmp_path: Path, rate: int) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * rate).astype(np.float32)
    soundfile.write(tmp_path / "a.wav", noise, rate, subtype="FLOAT")
    whole = read_audio(tmp_path / "a.wav")
    for block_s in (0.013, 0.5, 100.0):
        pieces = list(read_blocks(tmp_path / "a.wav", block_s=block_s))
        np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)
        assert all(len(piece) for piece in pieces)
    assert abs(len(whole) - 48_000) <= 1


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus", "a.flac"])
def test_blocks_of_coded_speech_are_the_whole_however_long_they_are(tmp_path: Path, name: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    soundfile.write(tmp_path / name, speech(1, pause_s=0.5), 16_000, **options)
    whole = np.concatenate(list(read_blocks(tmp_path / name, block_s=100.0)))
    pieces = np.concatenate(list(read_blocks(tmp_path / name, block_s=0.1)))
    np.testing.assert_allclose(pieces, whole, atol=1e-5)


def test_a_path_its_bytes_and_a_pipe_give_the_same() -> None:
    path = RECORDINGS[0]
    expected = read_audio(path)
    np.testing.assert_array_equal(read_audio(path.read_bytes()), expected)
    reader, writer = os.pipe()
    with os.fdopen(writer, "wb") as end:
        if os.fork() == 0:
            end.write(path.read_bytes())
            end.flush()
            os._exit(0)
    with os.fdopen(reader, "rb") as pipe:
        np.testing.assert_array_equal(read_audio(pipe), expected)
    os.wait()


def test_a_pipe_with_a_name_is_read_like_the_file_that_comes_through_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=[RECORDINGS[0].read_bytes()])
    writer.start()
    np.testing.assert_array_equal(read_audio(tmp_path / "pipe"), read_audio(RECORDINGS[0]))
    writer.join()


def test_a_wav_whose_recorder_died_before_it_wrote_the_length_is_read_to_its_end() -> None:
    file = io.BytesIO()
    soundfile.write(file, tone(1.0), 16_000, format="WAV")
    whole = bytearray(file.getvalue())
    whole[4:8] = bytes(4)
    whole[whole.index(b"data") + 4 : whole.index(b"data") + 8] = bytes(4)
    np.testing.assert_array_equal(read_audio(bytes(whole)), read_audio(file.getvalue()))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


@pytest.mark.parametrize("name", ["plain.wav", "a.flac", "a.ogg", "a.opus", "telephone.mp3", "a.m4a"])
def test_a_truncated_recording_is_an_error_that_names_it(tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name)
    cut(tmp_path / name)
    with pytest.raises(AudioError, match=name):
        read_audio(tmp_path / name)


def test_what_was_readable_of_a_truncated_recording_comes_before_the_error(tmp_path: Path) -> None:
    WRITERS["plain.wav"](tmp_path / "a.wav")
    cut(tmp_path / "a.wav")
    blocks, said = [], ""
    try:
        for block in read_blocks(tmp_path / "a.wav", block_s=0.5):
            blocks.append(block)
    except AudioError as error:
        said = str(error)
    assert "1.3 s could be read" in said
    assert 20_000 < sum(map(len, blocks)) < 22_000


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty: the file has 0 bytes"),
        (b"Dear diary, today I recorded nothing.\n" * 30, "found text that starts 'Dear diary"),
        (bytes(range(256)) * 20, "00 01 02 03"),
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "a.wav"),
    ],
    ids=["empty", "text", "bytes", "header"],
)
def test_what_is_no_recording_is_named_with_what_was_found(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.wav").write_bytes(content)
    with pytest.raises(AudioError, match=said) as caught:
        read_audio(tmp_path / "a.wav")
    assert "a.wav" in str(caught.value)


def test_no_samples_values_that_are_not_finite_folders_and_missing_files_are_errors(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "none.wav", tone(0), 16_000)
    soundfile.write(tmp_path / "nan.wav", np.where(np.arange(8000) == 4000, np.nan, 0.1), 16_000, subtype="FLOAT")
    soundfile.write(tmp_path / "sixteen-bit.wav", 9000 * tone(1), 16_000, subtype="FLOAT")
    with av.open(tmp_path / "silent.mp4", "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        frame = av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8))
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    for name, said in [
        ("none.wav", "no samples"),
        ("nan.wav", "not finite"),
        ("sixteen-bit.wav", "within -1 to 1"),
        ("silent.mp4", "no audio stream"),
        ("absent.wav", "No such file"),
        (".", "folder"),
    ]:
        with pytest.raises(AudioError, match=said):
            read_audio(tmp_path / name)


def test_hours_are_read_in_flat_memory(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    with soundfile.SoundFile(path, "w", 8000, 1) as sound:
        for _ in range(20):
            sound.write(tone(60, 8000))
    tracemalloc.start()
    total = sum(len(block) for block in read_blocks(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert abs(total - 20 * 60 * 16_000) <= 1
    assert peak < 8_000_000  # the whole is 77 MB


def test_the_header_tells_the_duration() -> None:
    found = probe_duration(RECORDINGS[0])
    assert found == pytest.approx(len(read_audio(RECORDINGS[0])) / 16_000, abs=0.05)
    assert probe_duration(Path("absent.wav")) is None


def test_a_name_and_samples_give_what_the_file_gives() -> None:
    whole = read_audio(RECORDINGS[0])
    assert np.array_equal(read_audio(str(RECORDINGS[0])), whole)
    for samples in (whole, whole.astype(np.float64), whole.tolist(), torch.from_numpy(whole)):
        assert np.array_equal(np.concatenate(list(read_blocks(samples, block_s=0.7))), whole)


@pytest.mark.parametrize(
    ("samples", "said"),
    [
        (np.zeros(8, np.int16), "samples: .*got int16: divide whole numbers by full scale"),
        (np.zeros((2, 8)), r"samples: .*got shape \(2, 8\): give one channel"),
        (np.zeros(0), "samples: holds no samples"),
        (np.full(8, np.nan), "samples: holds values that are not finite, after 0.0 s"),
        (None, "samples: expected floats"),
    ],
)
def test_samples_that_are_none_are_errors_that_say_what_came(samples: object, said: str) -> None:
    with pytest.raises(AudioError, match=said):
        read_audio(samples)  # type: ignore[arg-type]


def test_a_stream_given_by_hand_is_named_stdin() -> None:
    with pytest.raises(AudioError, match="stdin"):
        read_audio(io.BytesIO(b""))
