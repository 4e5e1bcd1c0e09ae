"""Where live sound comes from: a file played like a microphone, or raw samples on standard input."""

import contextlib
import time
import wave
from collections.abc import Callable, Iterator
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


def read_pcm(stream: BinaryIO, name: str = "stdin") -> Iterator[Samples | Notice]:
    """Raw 16-bit little-endian mono samples at 16 kHz, as they come. Raises AudioError for a file, for nothing."""
    odd, begun = b"", False
    while data := stream.read1(8192) if hasattr(stream, "read1") else stream.read(8192):
        data = odd + data
        if not begun and len(data) < 4:
            odd = data
            continue
        if not begun and (data[:4] in _CONTAINERS or data[:3] == b"ID3"):
            wanted = "expected raw samples (ffmpeg -i FILE -f s16le -ar 16000 -ac 1 -)"
            raise AudioError(name, f"{wanted}, got a file that begins with {data[:4]!r}")
        begun = True
        odd = data[len(data) // 2 * 2 :]
        yield np.frombuffer(data[: len(data) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
    if not begun:
        raise AudioError(name, f"holds no samples: {len(odd)} bytes came; expected raw 16-bit mono at 16 kHz")


_LONGEST = 18 * 3600 * SAMPLE_RATE  # samples of one file: many programs read no WAV of 2 GiB, none holds more than 4


class Saved:
    """Everything heard, written to wav files as it comes; a no-op without a path.

    After 18 hours a.wav is followed by a-2.wav. Where it cannot be written any more, as on a full disk, that is said
    once, and hearing goes on without.
    """

    def __init__(self, path: Path | None, notice: Callable[[str], None], *, longest: int = _LONGEST) -> None:
        """`longest`: samples of one file. Raises ConfigError where it cannot be written."""
        self._path, self._notice, self._longest, self._number = path, notice, longest, 1
        self._file: wave.Wave_write | None = None
        if path is None:
            return
        try:
            self._file = _new_wave(path)
        except FileExistsError:
            raise ConfigError("--save-audio", f"{path} is there already; name a new file") from None
        except OSError as error:
            raise ConfigError("--save-audio", f"cannot write {path}: {error.strerror}") from error

    def add(self, samples: Samples) -> None:
        """Append (S,) float32."""
        if self._path is None or self._file is None:
            return
        try:
            if self._file.tell() + len(samples) > self._longest:
                self._file = self._following(self._path)
            self._file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
        except OSError as error:
            self._notice(f"--save-audio: {error.strerror}: what is heard from now on is not kept in {self._path}")
            self.close()

    def close(self) -> None:
        """Complete the file."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):  # of a full disk: its header says what was there before
                file.close()

    def _following(self, path: Path) -> wave.Wave_write:
        """The next file whose name is free."""
        self.close()
        while True:
            self._number += 1
            with contextlib.suppress(FileExistsError):
                return _new_wave(path.with_stem(f"{path.stem}-{self._number}"))


def _new_wave(path: Path) -> wave.Wave_write:
    path.open("xb").close()  # wave itself leaves a half-made object behind
    file = wave.open(str(path), "wb")  # noqa: SIM115  (closed by close)
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(SAMPLE_RATE)
    return file
