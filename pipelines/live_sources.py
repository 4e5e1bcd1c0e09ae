"""Where live sound comes from: a file played like a microphone, or raw samples on standard input."""

import time
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asr.audio.microphone import Notice, Samples
from asr.audio.reader import SAMPLE_RATE, read_blocks
from asr.errors import ConfigError


def play(path: Path, speed: float, skip: int = 0) -> Iterator[Samples | Notice]:
    """A file's samples from number `skip` on, `speed` times as fast as they were spoken; 0: as fast as it goes."""
    began, given = time.perf_counter(), 0
    for whole in read_blocks(path, block_s=1.0 if speed == 0 else 0.1):
        block, skip = whole[skip:], max(0, skip - len(whole))
        given += len(block)
        if speed > 0:
            time.sleep(max(0.0, began + given / SAMPLE_RATE / speed - time.perf_counter()))
        yield block


def read_pcm(stream: BinaryIO) -> Iterator[Samples | Notice]:
    """Raw 16-bit little-endian mono samples at 16 kHz, as they come."""
    odd = b""
    while data := stream.read1(8192) if hasattr(stream, "read1") else stream.read(8192):
        data = odd + data
        odd = data[len(data) // 2 * 2 :]
        yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)


class Saved:
    """Everything heard, written to a wav file as it comes; a no-op without a path."""

    def __init__(self, path: Path | None) -> None:
        """Raises ConfigError where it cannot be written."""
        self._file = None
        if path is not None:
            try:
                path.open("wb").close()  # wave itself leaves a half-made object behind
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
