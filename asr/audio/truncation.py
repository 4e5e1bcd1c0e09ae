"""Files that end too early. soundfile reads a short wav or ogg without a word, so their own structure is asked."""

import io
import struct
from typing import BinaryIO

_TAIL = 70_000  # an Ogg page is at most 65,307 bytes
_END_OF_STREAM = 4


def missing_end(file: BinaryIO) -> str | None:
    """What is missing at the end of a wav or ogg file, in words; None where nothing is, or for other formats."""
    if file.closed:
        return None
    file.seek(0)
    head = file.read(12)
    if head[:4] == b"RIFF" and head[8:] == b"WAVE":
        return _wav(file)
    if head[:4] == b"OggS":
        return _ogg(file)
    return None


def _wav(file: BinaryIO) -> str | None:
    """Walk the chunks to `data` and compare its length with the file's."""
    size = file.seek(0, io.SEEK_END)
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            unknown = length == 0 or length >= 0x7FFF0000  # written by a pipe that could not go back
            short = place + 8 + length - size
            return f"{short} bytes of {length} are missing" if short > 1 and not unknown else None
        place += 8 + length + length % 2
    return "its samples are missing"


def _ogg(file: BinaryIO) -> str | None:
    """The last page of a stream bears a flag that says so."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    last = tail.rfind(b"OggS")
    complete = last >= 0 and last + 5 < len(tail) and tail[last + 5] & _END_OF_STREAM
    return None if complete else "its last page is missing"
