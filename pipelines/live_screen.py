"""What `asr live` shows: finals scroll on stdout, the partial stands on the terminal's last line with a level meter."""

import json
import math
import os
import sys
from pathlib import Path
from typing import TextIO

import numpy as np

from asr.audio.microphone import Samples
from asr.decoding.words import Utterance
from asr.errors import ConfigError
from asr.events import Event, Final, Partial
from asr.output import growing
from asr.writing import printable
from pipelines.outputs import given_up

_METER = " ▁▂▃▄▅▆▇█"


class Written:
    """Finals as they come, into a file or standard output, each one out at once."""

    def __init__(self, path: Path | None, form: str, stream: str) -> None:
        """No format: by the file's suffix, else txt. Raises ConfigError."""
        suffix = "" if path is None else path.suffix.removeprefix(".").lower()
        self._growth, title = growing.begin(form or (suffix if suffix in growing.GROWING else "txt"), stream)
        self._file: TextIO = sys.stdout if path is None else self._opened(path)
        self._owned = path is not None
        self._write(title)

    def _opened(self, path: Path) -> TextIO:
        form = self._growth.format
        try:
            file = path.open("a", encoding="utf-8")
        except OSError as error:
            raise ConfigError("--out", f"cannot write {path}: {error.strerror}") from error
        if form in growing.TITLED and os.fstat(file.fileno()).st_size:
            file.close()
            raise ConfigError("--out", f"{path} is there already, and {form} cannot be added to; choose another name")
        return file

    def add(self, event: Final) -> None:
        """One utterance."""
        utterance = Utterance(event.start_s, event.end_s, event.words, event.alternatives)
        self._growth, text = growing.add(self._growth, utterance)
        self._write(text)

    def _write(self, text: str) -> None:
        self._file.write(text)
        self._file.flush()

    def close(self) -> None:
        """Complete the file."""
        if self._owned:
            self._file.close()


class Screen:
    """On a terminal partials are shown in place, unstable words dim.

    Elsewhere finals only, or every event with --json.
    """

    def __init__(self, *, as_json: bool, out: Written | None, printed: Written | None = None) -> None:
        """`out`: where finals are written too; `printed`: standard output in another format than text."""
        self._json, self._terminal = as_json, sys.stdout.isatty() and not as_json
        self._out, self._printed = out, printed
        self._partial, self._meter = ("", ""), _METER[0]
        self.incomplete = False  # whether words are missing in `out`

    def show(self, events: list[Event]) -> None:
        """Events in their order."""
        for event in events:
            if isinstance(event, Final) and event.text and self._out is not None:
                self._keep(self._out, event)  # before all that a closed terminal or pipe may break
            if self._json:
                print(json_line(event), flush=True)
            if isinstance(event, Partial):
                self._partial = event.text[: event.stable_chars], event.text[event.stable_chars :]
            elif isinstance(event, Final):
                self._final(event)
        if events:
            self._draw()

    def _keep(self, out: Written, event: Final) -> None:
        """A file that takes no more, as on a full disk, ends itself, not the hearing."""
        try:
            out.add(event)
        except OSError as error:
            self._out, self.incomplete = None, True
            self.notice(given_up(out.close, error))

    def _final(self, event: Final) -> None:
        self._partial = ("", "")
        if not event.text:
            return
        if self._printed is not None:
            self._clear()
            self._printed.add(event)
        elif not self._json:
            self._clear()
            print(event.text, flush=True)

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
        try:
            self._clear()
        finally:
            if self._out is not None:
                self._out.close()


def json_line(event: Event) -> str:
    """An event's fields; an error's message may hold a file's name."""
    return printable(json.dumps(event.fields(), ensure_ascii=False))


def open_screen(*, as_json: bool, out: Path | None, form: str, stream: str) -> Screen:
    """A format goes to the file, where there is one, else to standard output. Raises ConfigError."""
    if form and as_json and out is None:
        raise ConfigError("--format", "--json already says how standard output is written; add --out FILE for another")
    if out is not None:
        return Screen(as_json=as_json, out=Written(out, form, stream))
    return Screen(as_json=as_json, out=None, printed=Written(None, form, stream) if form else None)
