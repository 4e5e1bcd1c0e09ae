"""Where live sound comes from: a file played like a microphone, or raw samples on standard input."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asr.audio.microphone import Notice, Samples
from asr.audio.reader import SAMPLE_RATE, read_blocks
from asr.errors import AudioError, ConfigError


def play(path: Path, speed: float, skip: int = 0) -> Iterator[Samples | Notice]:
    """A file's samples from number `skip` on, `speed` times as fast as they were spoken; 0: as fast as it goes."""
    began, given, notes = time.perf_counter(), 0, list[str]()
    for whole in read_blocks(path, block_s=1.0 if speed == 0 else 0.1, tell=notes.append):
        while notes:
            yield Notice(f"{path}: {notes.pop(0)}")
        block, skip = whole[skip:], max(0, skip - len(whole))
        given += len(block)
        if speed > 0:
            time.sleep(max(0.0, began + given / SAMPLE_RATE / speed - time.perf_counter()))
        yield block


_CONTAINERS = (b"RIFF", b"RF64", b"OggS", b"fLaC", b"FORM", b"\x1aE\xdf\xa3")  # as such files begin


def read_pcm(stream: BinaryIO) -> Iterator[Samples | Notice]:
    """Raw 16-bit little-endian mono samples at 16 kHz, as they come. Raises AudioError for a file, for nothing."""
    odd, begun = b"", False
    while data := stream.read1(8192) if hasattr(stream, "read1") else stream.read(8192):
        data = odd + data
        if not begun and len(data) < 4:
            odd = data
            continue
        if not begun and (data[:4] in _CONTAINERS or data[:3] == b"ID3"):
            wanted = "expected raw samples (ffmpeg -i FILE -f s16le -ar 16000 -ac 1 -)"
            raise AudioError("stdin", f"{wanted}, got a file that begins with {data[:4]!r}")
        begun = True
        odd = data[len(data) // 2 * 2 :]
        yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    if not begun:
        raise AudioError("stdin", f"holds no samples: {len(odd)} bytes came; expected raw 16-bit mono at 16 kHz")


class Saved:
    """Everything heard, written to a wav file as it comes; a no-op without a path."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError where it cannot be written."""
        self._file = None
        if path is not None:
            try:
                path.open("xb").close()  # wave itself leaves a half-made object behind
            except FileExistsError:
                raise ConfigError("--save-audio", f"{path} is there already; name a new file") from None
            except OSError as error:
                raise ConfigError("--save-audio", f"cannot write {path}: {error.strerror}") from error
            self._file = wave.open(str(path), "wb")  # noqa: SIM115  (closed by close)
            self._file.setnchannels(1)
            self._file.setsampwidth(2)
            self._file.setframerate(SAMPLE_RATE)

    def add(self, samples: Samples) -> None:
        """Append (S,) float32."""
        if self._file is not None:
            self._file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())

    def close(self) -> None:
        """Complete the file."""
        if self._file is not None:
            self._file.close()
