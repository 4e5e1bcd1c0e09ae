import io

import av
import numpy as np
import pytest

from asr.audio.reader import read_audio
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
