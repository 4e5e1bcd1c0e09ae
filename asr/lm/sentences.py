"""A large text as sentences that can be drawn in any order: its lines in one block of memory."""

import zlib
from collections.abc import Iterable, Sequence

import numpy as np

Places = np.ndarray[tuple[int], np.dtype[np.int64]]


class Sentences(Sequence[str]):
    """Lines, without the empty ones: some ten bytes each beside the text itself."""

    def __init__(self, lines: Iterable[str]) -> None:
        kept = [stripped.encode() for line in lines if (stripped := line.strip())]
        self._ends: Places = np.cumsum([len(line) for line in kept], dtype=np.int64)
        self._checksums = np.array([zlib.crc32(line) for line in kept], dtype=np.uint32)
        self._text = b"".join(kept)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> str:  # type: ignore[override]
        start = self._ends[index - 1] if index else 0
        return self._text[start : self._ends[index]].decode()

    def split(self, one_in: int) -> tuple[Places, Places]:
        """Places of the lines to learn from and of those held out: one in so many, by a checksum of the line.

        Lines that are the same fall on the same side. 0 holds out none.
        """
        held = self._checksums % one_in == 0 if one_in else np.zeros(len(self), dtype=bool)
        return np.flatnonzero(~held), np.flatnonzero(held)
