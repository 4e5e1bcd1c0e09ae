"""Files that end too early. soundfile and FFmpeg read many of them without a word, so their own structure is asked."""

import io
import struct
from typing import BinaryIO

_TAIL = 70_000  # an Ogg page is at most 65,307 bytes
_END_OF_STREAM = 4
_W64 = b"riff\x2e\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_MATROSKA, _SEGMENT = b"\x1aE\xdf\xa3", b"\x18S\x80g"


def missing_end(file: BinaryIO) -> str | None:
    """What is missing at the end of a file, in words; None where nothing is, or where its format does not tell.

    It tells in wav, rf64, w64, aiff, au, caf, ogg, avi, mkv and webm.
    """
    if file.closed:
        return None
    file.seek(0)
    head = file.read(64)
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return _wav(file)
    if head[:4] == b"OggS":
        return _ogg(file)
    size = file.seek(0, io.SEEK_END)
    end = _end(file, head)
    return None if end is None or end - size <= 1 else f"{end - size} bytes of {end} are missing"


def _wav(file: BinaryIO) -> str | None:
    """Walk the chunks to `data` and compare its length with the file's."""
    size = file.seek(0, io.SEEK_END)
    place = 12
    while place + 8 <= size:
        file.seek(place)
        name, length = struct.unpack("<4sI", file.read(8))
        if name == b"data":
            short = place + 8 + length - size
            return f"{short} bytes of {length} are missing" if short > 1 and _known(length) else None
        place += 8 + length + length % 2
    return "its samples are missing"


def _known(length: int) -> bool:
    """Whether 32 bits hold a length. Else they were written by a pipe that could not go back."""
    return 0 < length < 0x7FFF0000


def _ogg(file: BinaryIO) -> str | None:
    """The last page of a stream bears a flag that says so."""
    size = file.seek(0, io.SEEK_END)
    file.seek(max(0, size - _TAIL))
    tail = file.read()
    last = tail.rfind(b"OggS")
    complete = last >= 0 and last + 5 < len(tail) and tail[last + 5] & _END_OF_STREAM
    return None if complete else "its last page is missing"


def _end(file: BinaryIO, head: bytes) -> int | None:
    """How many bytes a file says that it has at least, for those that say."""
    match head[:4]:
        case b"RIFF" if head[8:12] == b"AVI ":
            return _riffs(file)
        case b"RF64" if head[12:16] == b"ds64":
            return 8 + int(struct.unpack("<Q", head[20:28])[0])
        case b"riff" if head[:16] == _W64:
            return int(struct.unpack("<Q", head[16:24])[0])
        case b"FORM":
            length = struct.unpack(">I", head[4:8])[0]
            return 8 + int(length) if _known(length) else None
        case b".snd":
            begin, length = struct.unpack(">II", head[4:12])
            return int(begin + length) if _known(length) else None
        case b"caff":
            return _caf(file)
        case _ if head[:4] == _MATROSKA:
            return _matroska(head)
    return None


def _riffs(file: BinaryIO) -> int | None:
    """An avi is one RIFF after the other, of some gigabytes each."""
    end = 0
    while True:
        file.seek(end)
        head = file.read(8)
        if head[:4] != b"RIFF" or len(head) < 8:
            return end
        length = struct.unpack("<I", head[4:])[0]
        if not _known(length):
            return None
        end += 8 + length + length % 2


def _caf(file: BinaryIO) -> int | None:
    """The end of its samples; what may follow them is no sound."""
    place = 8
    while True:
        file.seek(place)
        head = file.read(12)
        if len(head) < 12:
            return place
        name, length = struct.unpack(">4sq", head)
        place += 12 + length
        if name == b"data" or length < 0:
            return None if length < 0 else place


def _matroska(head: bytes) -> int | None:
    """Behind the EBML header the segment, which holds everything; who writes to a stream leaves its length open."""
    header, length = _ebml_length(head, 4)
    begin = header + length
    if head[begin : begin + 4] != _SEGMENT:
        return None
    begin, length = _ebml_length(head, begin + 4)
    return None if length < 0 else begin + length


def _ebml_length(data: bytes, place: int) -> tuple[int, int]:
    """Where an element's content begins, and how long that is; -1: unknown.

    As many bits as a number's first byte has zeros in front, so many bytes follow it.
    """
    size = 9 - data[place].bit_length() if place < len(data) and data[place] else 9
    number = data[place : place + size]
    bits = (1 << 7 * size) - 1
    if size > 8 or len(number) < size:
        return place, -1
    length = int.from_bytes(number, "big") & bits
    return place + size, -1 if length == bits else length
