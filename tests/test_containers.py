import io
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from asr.audio.reader import read_audio, read_blocks
from asr.errors import AudioError
from tests.recordings import tone


def encoded(container_format: str, codec: str, rate: int, *, channels: np.ndarray, title: str = "") -> bytes:
    """A file of (C, S) float32, one or two channels, by PyAV."""
    layout = "mono" if len(channels) == 1 else "stereo"
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        container.metadata["title"] = title
        stream = container.add_stream(codec, rate=rate, layout=layout)
        frame = av.AudioFrame.from_ndarray(channels, format="fltp", layout=layout)
        frame.rate = rate
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize(
    "codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_s64le", "pcm_f32le", "pcm_f64le"]
)
def test_samples_stored_in_any_width_are_the_same(codec: str) -> None:
    low, high = tone(1.0, hz=300), tone(1.0, hz=2000)
    samples = read_audio(encoded("nut", codec, 16_000, channels=np.stack([low, high])))
    np.testing.assert_allclose(samples, (low + high) / 2, atol=1 / 128 if codec == "pcm_u8" else 1e-4)


def test_a_wav_of_64_bit_integers_is_read() -> None:
    np.testing.assert_allclose(
        read_audio(encoded("wav", "pcm_s64le", 16_000, channels=tone(1.0)[None])), tone(1.0), atol=1e-6
    )


@pytest.mark.parametrize(
    ("container_format", "codec"), [("mp4", "aac"), ("matroska", "aac"), ("flv", "aac"), ("avi", "pcm_s16le")]
)
def test_a_title_that_is_no_utf8_changes_nothing(container_format: str, codec: str) -> None:
    file = encoded(container_format, codec, 16_000, channels=tone(1.0)[None], title="Café!")
    latin = file.replace("Café!".encode(), "Café! ".encode("latin-1"))
    assert latin != file
    np.testing.assert_array_equal(read_audio(latin), read_audio(file))


JOINED = {  # an ADTS stream has no header but its frames': a second may follow the first
    "44.1 kHz": encoded("adts", "aac", 44_100, channels=tone(1.0, 44_100, hz=500)[None]),
    "16 kHz": encoded("adts", "aac", 16_000, channels=tone(1.0, 16_000, hz=1000)[None]),
    "8 kHz": encoded("adts", "aac", 8000, channels=tone(1.0, 8000, hz=300)[None]),
    "stereo": encoded("adts", "aac", 16_000, channels=np.tile(tone(1.0, 16_000, hz=700), (2, 1))),
}


@pytest.mark.parametrize(
    "names",
    [
        ("44.1 kHz", "16 kHz"),
        ("16 kHz", "44.1 kHz"),
        ("44.1 kHz", "8 kHz", "16 kHz", "44.1 kHz"),
        ("16 kHz", "stereo"),
        ("stereo", "16 kHz"),
        ("stereo", "44.1 kHz", "stereo"),
    ],
    ids=", ".join,
)
def test_joined_recordings_of_other_rates_or_channel_counts_are_what_each_is_alone(names: tuple[str, ...]) -> None:
    file = b"".join(JOINED[name] for name in names)
    whole = read_audio(file)
    for block_s in (0.013, 0.5, 100.0):
        np.testing.assert_allclose(np.concatenate(list(read_blocks(file, block_s=block_s))), whole, atol=1e-6)
    alone = np.concatenate([read_audio(JOINED[name]) for name in names])
    assert len(whole) == len(alone)
    np.testing.assert_allclose(whole, alone, atol=0.02)  # the codec blends a little where they meet


def test_all_that_could_be_decoded_comes_before_the_damage_however_long_the_blocks_are() -> None:
    file = encoded("adts", "aac", 16_000, channels=tone(3.0)[None])
    whole, lengths = read_audio(file), set()
    for block_s in (0.1, 1.0, 100.0):
        blocks = []
        with pytest.raises(AudioError, match="damaged or truncated after 2"):
            blocks.extend(read_blocks(file[: len(file) * 3 // 4], block_s=block_s))
        lengths.add(len(np.concatenate(blocks)))
        np.testing.assert_array_equal(np.concatenate(blocks), whole[: len(np.concatenate(blocks))])
    assert len(lengths) == 1


def written(path: Path, samples: np.ndarray, **options: str) -> bytes:
    """A file's bytes, by soundfile."""
    soundfile.write(path, samples, 16_000, **options)
    return path.read_bytes()


@pytest.mark.parametrize("name", ["a.wav", "a.aiff", "a.au", "a.caf", "a.w64", "a.rf64"])
def test_a_file_that_says_how_long_it_is_is_found_truncated_wherever_it_ends(tmp_path: Path, name: str) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    whole = written(tmp_path / name, samples)
    assert len(read_audio(whole)) == 16_000
    for end in (len(whole) // 3, len(whole) - 8000):
        with pytest.raises(AudioError, match=r"truncated: \d+ bytes of \d+ are missing; 0.\d s could be read"):
            read_audio(whole[:end])


@pytest.mark.parametrize(("container_format", "codec"), [("matroska", "ac3"), ("webm", "libopus"), ("avi", "mp2")])
def test_a_container_that_says_how_long_it_is_is_found_truncated(container_format: str, codec: str) -> None:
    whole = encoded(container_format, codec, 48_000, channels=tone(3.0, 48_000)[None])
    assert abs(len(read_audio(whole)) - 48_000) < 1600
    with pytest.raises(AudioError, match=r"truncated: \d+ bytes of \d+ are missing; 1.\d s could be read"):
        read_audio(whole[: len(whole) * 3 // 5])


def test_a_container_whose_length_was_left_open_is_read_to_its_end() -> None:
    whole = encoded("matroska", "pcm_s16le", 16_000, channels=tone(1.0)[None])
    place = whole.index(b"\x18S\x80g") + 4
    assert len(read_audio(whole[:place] + b"\x01" + b"\xff" * 7 + whole[place + 8 :])) == 16_000


def test_an_mp4_that_was_not_finished_is_said_to_be_one() -> None:
    whole = encoded("mp4", "aac", 16_000, channels=tone(3.0)[None])
    with pytest.raises(AudioError, match="an mp4 without its table of contents"):
        read_audio(whole[: len(whole) // 2])


@pytest.mark.parametrize("name", ["a.mp3", "a.ogg", "a.opus"])
def test_of_recordings_joined_in_one_file_each_is_read(tmp_path: Path, name: str) -> None:
    options = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    parts = [written(tmp_path / name, tone(2.0, hz=hz), **options) for hz in (300, 500, 700)]
    samples = read_audio(b"".join(parts))
    assert abs(len(samples) - 3 * 32_000) < 3 * 2000  # the silence that a codec begins and ends with
    for i, hz in enumerate((300, 500, 700)):
        second = samples[(4 * i + 1) * len(samples) // 12 :][:16_000]
        assert np.abs(np.fft.rfft(second)).argmax() == hz


@pytest.mark.parametrize("name", ["a.wav", "a.aiff"])
def test_a_recording_that_begins_behind_the_end_of_another_is_said_to_be_there(tmp_path: Path, name: str) -> None:
    whole = written(tmp_path / name, tone(1.0))
    with pytest.raises(AudioError, match=r"another recording begins behind its end, after 1.0 s"):
        read_audio(whole + whole)


def test_of_a_damaged_flac_all_that_lies_before_the_damage_is_read(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 5 * 16_000).astype(np.float32)
    whole = written(tmp_path / "a.flac", noise)
    blocks = []
    with pytest.raises(AudioError, match=r"damaged or truncated after [34]"):
        blocks.extend(read_blocks(whole[: len(whole) * 4 // 5]))
    heard = np.concatenate(blocks)
    assert len(heard) > 3.5 * 16_000
    np.testing.assert_allclose(heard, noise[: len(heard)], atol=1e-4)


def on_a_clock(*tracks: list[tuple[float, np.ndarray]]) -> bytes:
    """A matroska file of tracks, each of sound that begins at some second."""
    file, packets = io.BytesIO(), []
    with av.open(file, "w", format="matroska") as container:
        for track in tracks:
            stream = container.add_stream("pcm_s16le", rate=16_000, layout="mono")
            for begin_s, samples in track:
                frame = av.AudioFrame.from_ndarray(
                    (samples * 32767).astype(np.int16)[None], format="s16", layout="mono"
                )
                frame.rate, frame.pts = 16_000, round(begin_s * 16_000)
                packets += stream.encode(frame)
        for packet in sorted(packets, key=lambda packet: packet.pts):
            container.mux(packet)
    return file.getvalue()


def test_silence_that_only_the_clock_of_a_container_knows_is_kept() -> None:
    low, high = tone(1.0, hz=300), tone(1.0, hz=700)
    samples = read_audio(on_a_clock([(0.0, low), (5.25, high)]))
    assert len(samples) == 6.25 * 16_000
    np.testing.assert_allclose(samples[:16_000], low, atol=1e-4)
    assert not samples[16_000 : 5 * 16_000].any()
    np.testing.assert_allclose(samples[-16_000:], high, atol=1e-4)


def test_a_clock_that_trembles_goes_back_or_jumps_to_another_day_adds_no_silence() -> None:
    second = tone(1.0)
    for times in ((0.0, 1.2, 2.0, 3.3), (0.0, 1.0, 40_000.0, 40_001.0)):
        assert len(read_audio(on_a_clock([(time, second) for time in times]))) == 4 * 16_000


def test_a_track_that_begins_after_the_others_is_timed_like_them_and_it_is_said_which_is_heard() -> None:
    file, notes = on_a_clock([(2.0, tone(1.0))], [(0.0, tone(3.0))]), list[str]()
    samples = np.concatenate(list(read_blocks(file, tell=notes.append)))
    assert len(samples) == 3 * 16_000
    assert not samples[:32_000].any()
    assert notes == ["the first of its 2 sound tracks is heard, and no other"]
