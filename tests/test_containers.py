import io

import av
import numpy as np
import pytest

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
