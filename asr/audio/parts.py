"""A part of a recording, and which of its samples that is."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Part:
    """A stretch of a recording (a file, or the bytes of one), from `offset_s` on; a `duration_s` of None: to its end.

    Both in seconds.
    """

    recording: Path | bytes
    offset_s: float
    duration_s: float | None = None

    @property
    def label(self) -> str:
        """Start and end in milliseconds, to go behind a recording's name: "@1500-4000", "@1500-end"."""
        end = "end" if self.duration_s is None else round(1000 * (self.offset_s + self.duration_s))
        return f"@{round(1000 * self.offset_s)}-{end}"

    def bounds(self, rate: int) -> tuple[int, int | None]:
        """Its first sample, and the one after its last (None: it goes to the end)."""
        first = round(self.offset_s * rate)
        return first, None if self.duration_s is None else first + round(self.duration_s * rate)
