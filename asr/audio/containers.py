"""Containers and codecs that soundfile does not know, by PyAV (FFmpeg): m4a, aac, wma, webm, mp4 and others."""

import math
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from asr.audio.mixing import Channels
from asr.errors import AudioError

CLOCKED = (
    "matroska",
    "mov",
    "mpegts",
    "flv",
    "asf",
)  # these write down when each piece sounds; of others it is made up
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
        yield from _blocks(_on_time(frames, begin_s), called, block_s)


def _on_time(frames: Iterator[Any], begin_s: float) -> Iterator[tuple[Channels, int]]:
    """Each frame (S, C) with its rate, and silence where the container's clock, which begins at `begin_s`, has some.

    Who comes late to a call, or sends nothing while silent, is recorded so; without it all words after would be early.
    """
    place_s = 0.0
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


def _blocks(frames: Iterator[tuple[Channels, int]], called: str, block_s: float) -> Iterator[tuple[Channels, int]]:
    """Frames joined to blocks, each of one rate and channel count: two recordings may have been joined, and a broadcast
    may go from one channel to two.

    Raises AudioError where no more can be decoded, after what could.
    """
    import av

    kept: list[Channels] = []
    rate, seconds, damage = 0, 0.0, None
    try:
        for values, its_rate in frames:
            changed = kept and (its_rate != rate or values.shape[1] != kept[-1].shape[1])
            if changed or sum(map(len, kept)) >= block_s * rate > 0:
                yield np.concatenate(kept), rate
                kept = []
            rate = its_rate
            kept.append(values)
            seconds += len(kept[-1]) / rate
    except av.FFmpegError as error:
        damage = error
    if kept:
        yield np.concatenate(kept), rate
    if damage is not None:
        raise AudioError(called, f"damaged or truncated after {seconds:.1f} s: {damage.strerror}") from damage


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
