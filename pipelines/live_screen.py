"""What `asr live` shows: finals scroll on stdout, the partial stands on the terminal's last line with a level meter."""

import json
import math
import sys
from pathlib import Path

import numpy as np

from asr.audio.microphone import Samples
from asr.events import Event, Final, Partial

_METER = " ▁▂▃▄▅▆▇█"


class Screen:
    """On a terminal partials are shown in place, unstable words dim.

    Elsewhere finals only, or every event with --json.
    """

    def __init__(self, *, as_json: bool, out: Path | None) -> None:
        self._json, self._terminal = as_json, sys.stdout.isatty() and not as_json
        self._out = None if out is None else out.open("a", encoding="utf-8")
        self._partial, self._meter = ("", ""), _METER[0]

    def show(self, events: list[Event]) -> None:
        """Events in their order."""
        for event in events:
            if self._json:
                print(json.dumps(event.fields(), ensure_ascii=False), flush=True)
            if isinstance(event, Partial):
                self._partial = event.text[: event.stable_chars], event.text[event.stable_chars :]
            elif isinstance(event, Final):
                self._final(event)
        if events:
            self._draw()

    def _final(self, event: Final) -> None:
        self._partial = ("", "")
        if not event.text:
            return
        if not self._json:
            self._clear()
            print(event.text, flush=True)
        if self._out is not None:
            self._out.write(event.text + "\n")
            self._out.flush()

    def notice(self, message: str) -> None:
        """A line on stderr."""
        self._clear()
        print(f"asr: {message}", file=sys.stderr, flush=True)
        self._draw()

    def level(self, samples: Samples) -> None:
        """-60 to 0 dBFS as one of nine bars."""
        loud = float(np.sqrt(np.mean(samples**2))) if len(samples) else 0.0
        decibels = 20 * math.log10(max(loud, 1e-6))
        self._meter = _METER[round(max(0.0, min(1.0, (decibels + 60) / 60)) * (len(_METER) - 1))]
        self._draw()

    def _draw(self) -> None:
        if not self._terminal:
            return
        import shutil

        stable, growing = self._partial
        room = max(10, shutil.get_terminal_size().columns - 4)
        over = max(0, len(stable) + len(growing) - room)
        print(f"\r\x1b[K{self._meter} {stable[over:]}\x1b[2m{growing[-room:]}\x1b[0m", end="", flush=True)

    def _clear(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._clear()
        if self._out is not None:
            self._out.close()
