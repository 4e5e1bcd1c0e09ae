"""Log-probabilities of a long recording, that come utterance by utterance and are read by stretches."""

from bisect import bisect_right
from typing import Any

import numpy as np
import torch
from torch import Tensor

Floats = np.ndarray[Any, np.dtype[Any]]


class Frames:
    """(T', V) log-probabilities of one head, in half precision: an hour of 500 tokens is 90 MB, 25 frames a second."""

    def __init__(self) -> None:
        self._parts: list[Floats] = []
        self._starts = [0]

    def __len__(self) -> int:
        return self._starts[-1]

    def add(self, part: Floats) -> None:
        """(N, V) more."""
        self._parts.append(part.astype(np.float16))
        self._starts.append(self._starts[-1] + len(part))

    def whole(self) -> Floats:
        """(T', V) in single precision."""
        return np.concatenate(self._parts).astype(np.float32)

    def stretch(self, first: int, last: int) -> Tensor:
        """Frames [first, last), of which there is one at least, in single precision."""
        place = bisect_right(self._starts, first) - 1
        found = []
        while place < len(self._parts) and self._starts[place] < last:
            start = self._starts[place]
            found.append(self._parts[place][max(0, first - start) : last - start])
            place += 1
        return torch.from_numpy(np.concatenate(found).astype(np.float32))
