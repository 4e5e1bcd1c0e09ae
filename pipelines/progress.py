"""How far the work has come, on stderr: a bar on a terminal, else a line now and then."""

import sys
import time


class Progress:
    """Recordings done, seconds of audio, and how many times faster than real time."""

    def __init__(self, total: int, every_s: float = 10.0) -> None:
        self._total, self._every_s = total, every_s
        self._done, self._began, self._said = 0, time.perf_counter(), time.perf_counter()
        self._terminal = sys.stderr.isatty()

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *_: object) -> None:
        self._clear()

    def say(self, text: str) -> None:
        """A line that stays."""
        self._clear()
        print(text, file=sys.stderr, flush=True)

    def advance(self, seconds: float) -> None:
        """One more recording is done; `seconds` of audio altogether."""
        self._done += 1
        now = time.perf_counter()
        speed = seconds / max(1e-9, now - self._began)
        text = f"{self._done} of {self._total} recordings, {seconds / 3600:.2f} h, {speed:.0f} x real time"
        if self._terminal:
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        elif now - self._said >= self._every_s:
            self._said = now
            print(text, file=sys.stderr, flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
