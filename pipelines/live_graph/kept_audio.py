"""A stream's samples on disk until nobody can need them again: the queue of capture, and what a restart hears again.

Files of a minute each, named by their first sample: raw float32, so that what is heard again is heard exactly. A crash
at any moment leaves a true beginning: bytes that are no whole sample are cut off when the folder is opened.
"""

from pathlib import Path

import numpy as np

from asr.audio.microphone import Samples
from asr.audio.reader import SAMPLE_RATE

MINUTE = 60 * SAMPLE_RATE
_BYTES = 4  # a sample
_ENDED = "ended"


class KeptAudio:
    """One writer, any readers of what `length` covers. Positions count samples from the stream's first."""

    def __init__(self, folder: Path, *, file_samples: int = MINUTE) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._file_samples = folder, file_samples
        self._starts = sorted(int(path.stem) for path in folder.glob("*.f32"))
        self.length = 0
        if self._starts:
            last = self._path(self._starts[-1])
            samples = last.stat().st_size // _BYTES
            with last.open("r+b") as file:
                file.truncate(samples * _BYTES)
            self.length = self._starts[-1] + samples

    @property
    def first(self) -> int:
        """The first sample that is still there."""
        return self._starts[0] if self._starts else self.length

    @property
    def ended(self) -> bool:
        """Whether the stream has had its last sample."""
        return (self._folder / _ENDED).exists()

    def end(self) -> None:
        """No more samples will come."""
        (self._folder / _ENDED).touch()

    def append(self, samples: Samples) -> None:
        """(S,) float32 behind what is there. Given to the system when this returns: it survives the program's death."""
        while len(samples):
            if not self._starts or self.length - self._starts[-1] >= self._file_samples:
                self._starts.append(self.length)
            part = samples[: self._starts[-1] + self._file_samples - self.length]
            with self._path(self._starts[-1]).open("ab") as file:
                file.write(np.ascontiguousarray(part, np.float32).tobytes())
            self.length += len(part)
            samples = samples[len(part) :]

    def read(self, start: int, stop: int) -> Samples:
        """Samples [start, stop), fewer where the stream is shorter: (S,) float32. `start` must be `first` or later."""
        stop = min(stop, self.length)
        parts = [np.zeros(0, np.float32)]
        for begin in self._starts:
            low, high = max(start, begin), min(stop, begin + self._file_samples)
            if low < high:
                offset = (low - begin) * _BYTES
                parts.append(np.fromfile(self._path(begin), np.float32, high - low, offset=offset))
        return np.concatenate(parts)

    def forget(self, before: int) -> None:
        """Nobody will read samples before this any more; files that hold no later ones go."""
        while len(self._starts) > 1 and self._starts[1] <= before:
            self._path(self._starts.pop(0)).unlink(missing_ok=True)

    def _path(self, start: int) -> Path:
        return self._folder / f"{start:012d}.f32"
