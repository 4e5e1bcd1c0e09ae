"""Several recordings in one file, one after the other: of those soundfile reads the first alone, without a word.

Such are chained Ogg streams, which their format allows, and what `cat` makes of mp3 or wav files. FFmpeg reads the rest
of an ogg and of an mp3; of a wav or an aiff it can only be said that there is one.
"""

import struct
from typing import BinaryIO

_BEGINS = 2  # flag of an Ogg stream's first page


def goes_on(file: BinaryIO) -> bool:
    """Whether another recording follows the first of an ogg or mp3 file. The place in the file is lost."""
    file.seek(0)
    head = file.read(10)
    if head[:4] == b"OggS":
        return _chained(file)
    return _mp3(file, 10 + _seven_bits(head[6:10]) if head[:3] == b"ID3" else 0)


def begins_anew(file: BinaryIO) -> bool:
    """Whether behind the end of a wav or aiff file, as it says where that is, there is another."""
    if file.closed:
        return False
    file.seek(0)
    head = file.read(12)
    if len(head) < 12 or head[8:] not in (b"WAVE", b"AIFF", b"AIFC"):
        return False
    length = struct.unpack(">I" if head[:4] == b"FORM" else "<I", head[4:8])[0]
    file.seek(8 + length + length % 2)
    behind = file.read(12)
    return (behind[:4], behind[8:]) == (head[:4], head[8:])


def _chained(file: BinaryIO) -> bool:
    """Streams that sound together all begin before the first page of sound; one that begins later is another's."""
    place, sounded = 0, False
    while True:
        file.seek(place)
        head = file.read(27 + 255)
        if head[:4] != b"OggS" or len(head) < 27:
            return False
        begins = bool(head[5] & _BEGINS)
        if begins and sounded:
            return True
        sounded = sounded or not begins
        segments = head[26]
        place += 27 + segments + sum(head[27 : 27 + segments])


def _mp3(file: BinaryIO, begin: int) -> bool:
    """The first frame may be one that says how many bytes there are (Xing, Info): what begins right behind them?"""
    file.seek(begin)
    head = file.read(64)
    tag = head[max(head.find(b"Xing"), head.find(b"Info"), 0) :][:16].ljust(16, b"\0")
    flags = struct.unpack(">I", tag[4:8])[0]
    if not _is_frame(head) or tag[:4] not in (b"Xing", b"Info") or not flags & 2:
        return False
    place = 12 if flags & 1 else 8  # behind the number of frames, where that is there
    file.seek(begin + struct.unpack(">I", tag[place : place + 4])[0])
    behind = file.read(4)
    return behind[:3] == b"ID3" or _is_frame(behind)


def _is_frame(head: bytes) -> bool:
    """Whether a frame of MPEG's layer III may begin so."""
    return len(head) >= 4 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2


def _seven_bits(data: bytes) -> int:
    return sum(byte << 7 * (3 - i) for i, byte in enumerate(data))
