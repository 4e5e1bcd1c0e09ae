"""Containers and codecs that soundfile does not know, by PyAV (FFmpeg): m4a, aac, wma, webm, mp4 and others."""

import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from asr.audio.blocks import in_blocks
from asr.audio.mixing import Channels
from asr.errors import AudioError

# These write down when each piece sounds; of others it is made up.
CLOCKED = ("matroska", "mov", "mpegts", "flv", "asf")
PAUSE_S = 0.5  # by which a container's clock is ahead of its sound, to be silence; less is the clock's own trembling
LONGEST_S = 3600.0  # by which, to be believed; more is another clock, as of broadcasts that were joined


def read_container(
    file: BinaryIO, called: str, block_s: float, tell: Callable[[str], None]
) -> Iterator[tuple[Channels, int]]:
    """Blocks (S, C) of the first audio stream, with their rate in Hz. Raises AudioError.

    `tell` is told where there are more streams than that.
    """
    import av  # a third of a second: only for those who need it

    av.logging.set_level(av.logging.PANIC)
    try:
        container = av.open(file, mode="r", metadata_errors="ignore")  # a title in Latin-1 spoils no sound
    except (av.FFmpegError, ValueError) as error:
        found = _first_bytes(file)
        raise AudioError(called, f"expected a recording in a known format, found {found}") from error
    with container:
        if not container.streams.audio:
            raise AudioError(called, "expected a recording; this file has no audio stream")
        if (count := len(container.streams.audio)) > 1:
            tell(f"the first of its {count} sound tracks is heard, and no other")
        frames = container.decode(container.streams.audio[0])
        clocked = container.format.name.split(",")[0] in CLOCKED
        begin_s = (container.start_time or 0) / av.time_base if clocked else math.inf  # never behind its clock
        yield from in_blocks(_on_time(frames, begin_s, called), block_s)


def _on_time(frames: Iterator[Any], begin_s: float, called: str) -> Iterator[tuple[Channels, int]]:
    """Each frame (S, C) with its rate, and silence where the container's clock, which begins at `begin_s`, has some.

    Who comes late to a call, or sends nothing while silent, is recorded so; without it all words after would be early.
    Raises AudioError where no more can be decoded.
    """
    import av

    place_s = 0.0
    try:
        for frame in frames:
            values, rate = _channels(frame), frame.sample_rate
            silent_s = 0.0 if frame.time is None else frame.time - begin_s - place_s
            if PAUSE_S < silent_s < LONGEST_S:
                left, second = round(silent_s * rate), np.zeros((rate, values.shape[1]), np.float32)
                place_s += left / rate
                while left > 0:
                    yield second[:left], rate
                    left -= rate
            place_s += len(values) / rate
            yield values, rate
    except av.FFmpegError as error:
        raise AudioError(called, f"damaged or truncated after {place_s:.1f} s: {error.strerror}") from error


def _channels(frame: Any) -> Channels:
    """One decoded frame, of any sample format and channel count, as (S, C) float32 in [-1, 1]."""
    values = _values(frame)
    if not frame.format.is_planar:
        values = values.reshape(-1, frame.layout.nb_channels).T
    if values.dtype == np.uint8:
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    channels: Channels = values.T.astype(np.float32)
    return channels


def _values(frame: Any) -> np.ndarray[Any, Any]:
    """Its numbers as they came, a row a plane. PyAV gives no array of 64-bit integers, so they are taken from there."""
    if frame.format.name not in ("s64", "s64p"):
        values: np.ndarray[Any, Any] = frame.to_ndarray()
        return values
    count = frame.samples * (1 if frame.format.is_planar else frame.layout.nb_channels)
    return np.stack([np.frombuffer(plane, np.int64, count) for plane in frame.planes])


def _first_bytes(file: BinaryIO) -> str:
    """What a file seems to be, for a message."""
    file.seek(0)
    head = file.read(48)
    if head[4:8] == b"ftyp":
        return "an mp4 without its table of contents, which is written last: not finished, or not copied whole"
    if head and all(byte in b"\t\r\n" or 32 <= byte < 127 for byte in head):
        return f"text that starts {head[:24].decode('ascii')!r}; is its name right?"
    return f"data that starts with the bytes {head[:8].hex(' ')}; is it audio?"
