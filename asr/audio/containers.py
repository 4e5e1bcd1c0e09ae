"""Containers and codecs that soundfile does not know, by PyAV (FFmpeg): m4a, aac, wma, webm, mp4 and others."""

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np

from asr.audio.mixing import Channels
from asr.errors import AudioError


def read_container(file: BinaryIO, called: str, block_s: float) -> Iterator[tuple[Channels, int]]:
    """Blocks (S, C) of the first audio stream, with their rate in Hz. Raises AudioError."""
    import av  # a third of a second: only for those who need it

    av.logging.set_level(av.logging.PANIC)
    try:
        container = av.open(file, mode="r")
    except (av.FFmpegError, ValueError) as error:
        found = _first_bytes(file)
        raise AudioError(called, f"expected a recording in a known format, found {found}") from error
    with container:
        if not container.streams.audio:
            raise AudioError(called, "expected a recording; this file has no audio stream")
        stream = container.streams.audio[0]
        kept: list[Channels] = []
        seconds = 0.0
        try:
            for frame in container.decode(stream):
                values = _channels(frame)
                if kept and values.shape[1] != kept[-1].shape[1]:  # a broadcast may go from one channel to two
                    yield np.concatenate(kept), frame.sample_rate
                    kept = []
                kept.append(values)
                seconds += len(values) / frame.sample_rate
                if sum(map(len, kept)) >= block_s * frame.sample_rate:
                    yield np.concatenate(kept), frame.sample_rate
                    kept = []
        except av.FFmpegError as error:
            raise AudioError(called, f"damaged or truncated after {seconds:.1f} s: {error.strerror}") from error
        if kept:
            yield np.concatenate(kept), stream.rate


def _channels(frame: Any) -> Channels:
    """One decoded frame, of any sample format and channel count, as (S, C) float32 in [-1, 1]."""
    values = frame.to_ndarray()
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    channels: Channels = values.T.astype(np.float32)
    return channels


def _first_bytes(file: BinaryIO) -> str:
    """What a file seems to be, for a message."""
    file.seek(0)
    head = file.read(48)
    if head and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return f"text that starts {head[:24].decode('ascii')!r}; is its name right?"
    return f"data that starts with the bytes {head[:8].hex(' ')}; is it audio?"
