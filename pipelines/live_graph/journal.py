"""What was said, written once: an append-only file of one JSON object a line, on the disk before it is acknowledged.

A line that a crash cut short is no line: it is cut off when the journal is opened. A stream's utterances come in order,
so its last one is all that must be remembered to know a repetition.
"""

import json
import os
from pathlib import Path
from typing import Any


class Journal:
    """One writer. `last` of a stream: the number of its last utterance, -1 before the first."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._last: dict[str, int] = {}
        self._ended: set[str] = set()
        self.tail: dict[str, Any] | None = None  # the last entry
        self._file = path.open("a+b")
        self._read()

    def last(self, stream: str) -> int:
        """The number of the stream's last utterance that is here."""
        return self._last.get(stream, -1)

    def ended(self, stream: str) -> bool:
        """Whether the stream's end is here."""
        return stream in self._ended

    def add(self, entries: list[dict[str, Any]]) -> None:
        """Append entries with `stream`, and `utterance` or `ended`; returns when they are on the disk."""
        lines = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
        self._file.write(lines.encode())
        self._file.flush()
        os.fsync(self._file.fileno())
        for entry in entries:
            self._note(entry)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _read(self) -> None:
        self._file.seek(0)
        true_end = 0
        for line in self._file:
            try:
                entry = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                entry = None
            if not isinstance(entry, dict):
                break
            self._note(entry)
            true_end += len(line)
        self._file.truncate(true_end)
        self._file.seek(0, os.SEEK_END)

    def _note(self, entry: dict[str, Any]) -> None:
        stream = str(entry["stream"])
        if entry.get("ended"):
            self._ended.add(stream)
        else:
            self._last[stream] = max(self.last(stream), int(entry["utterance"]))
        self.tail = entry


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All entries, oldest first; a last line that was cut short is left out."""
    lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith(b"\n")]
