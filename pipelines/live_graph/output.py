"""Finals to the journal and to a text file, each once, whatever dies in between. Plain, no Ray.

The journal is the truth. An entry also holds what goes into the text file and where, so that an entry whose text did
not get there before a crash is written again, to the same place.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.events import Final
from pipelines.live_graph.journal import Journal
from pipelines.outputs import given_up

JOURNAL = "journal.jsonl"


@dataclass(frozen=True)
class Written:
    """How far a stream's words are written: its last utterance (-1: none), and whether that was its end."""

    last: int
    ended: bool


class Output:
    """One writer a session folder. `out`: a file that gets a line of text for each final, added to what it holds."""

    def __init__(self, folder: Path, out: Path | None = None, *, named: bool = False) -> None:
        self._journal, self._named = Journal(folder / JOURNAL), named
        self._out = None if out is None else _opened(out)
        self._said = ""  # what has become of the text file
        if self._journal.tail is not None:
            self._place(self._journal.tail)

    def written(self, stream: str) -> Written:
        """What is here already."""
        return Written(self._journal.last(stream), self._journal.ended(stream))

    def write(self, finals: Sequence[Final]) -> str:
        """Write those that are not here yet. When this returns they are on the disk; calling again changes nothing.

        The text file may take no more, as on a full disk; from then on that is returned, in words; else "".
        """
        for final in finals:
            if final.utterance > self._journal.last(final.stream):
                self._add(final.fields(), f"{final.stream}\t{final.text}\n" if self._named else f"{final.text}\n")

        return self._said

    def end(self, stream: str) -> None:
        """The stream has said its last word."""
        if not self._journal.ended(stream):
            self._journal.add([{"stream": stream, "ended": True}])

    def close(self) -> None:
        """Let go of the files."""
        self._journal.close()
        if self._out is not None:
            self._out.close()

    def _add(self, fields: dict[str, Any], line: str) -> None:
        if self._out is not None and fields["text"]:
            fields |= {"line": line, "place": self._out.seek(0, 2)}
        self._journal.add([fields])
        self._place(fields)

    def _place(self, entry: dict[str, Any]) -> None:
        """Put an entry's line into the text file, unless it is there."""
        if self._out is None or "line" not in entry:
            return
        line = entry["line"].encode()
        if self._out.seek(0, 2) < entry["place"] + len(line):
            try:
                self._out.seek(min(entry["place"], self._out.tell()))
                self._out.write(line)
                self._out.flush()
            except OSError as error:
                self._said = given_up(self._out.close, error)  # the words are in the journal, and shown
                self._out = None


def _opened(path: Path) -> Any:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.open("r+b")
