"""What a stream says while it is heard: one schema for the library, actors, sockets and JSONL. Imports no torch.

partial   {stream, utterance, seq, text, stable_chars, words}        words as heard so far; the first `stable_chars`
never change
final     {stream, utterance, seq, text, start_s, end_s, words, alternatives}   the utterance has ended; these are its
words
status    {stream, seq, message}                                     something that a person should know; the stream
goes on
error     {stream, seq, code, message}                               the stream has ended
"""

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

from asr.decoding.words import Alternative, Word

VERSION = 1


@dataclass(frozen=True)
class Event:
    """`seq` counts a stream's events from 0; `stream` names it."""

    type: ClassVar[str] = "event"
    stream: str
    seq: int

    def fields(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {"version": VERSION, "type": self.type, **asdict(self)}


@dataclass(frozen=True)
class Partial(Event):
    """Pass one, as heard so far. Times in seconds from the stream's start."""

    type: ClassVar[str] = "partial"
    utterance: int
    text: str
    stable_chars: int
    words: tuple[Word, ...]


@dataclass(frozen=True)
class Final(Event):
    """Pass two: what `transcribe` gives for these samples. Comes once for each utterance."""

    type: ClassVar[str] = "final"
    utterance: int
    text: str
    start_s: float
    end_s: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True)
class Status(Event):
    """Something that a person should know."""

    type: ClassVar[str] = "status"
    message: str


@dataclass(frozen=True)
class Failure(Event):
    """The stream cannot go on."""

    type: ClassVar[str] = "error"
    code: str
    message: str
