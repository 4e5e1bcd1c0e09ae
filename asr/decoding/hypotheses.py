"""What a search finds: readings of an utterance, in frames."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


class HeardWord(NamedTuple):
    """A word in frames [start, end) and the geometric mean of its tokens' probabilities there."""

    text: str
    start: int
    end: int
    confidence: float


@dataclass(frozen=True)
class Hypothesis:
    """A reading of an utterance, with its score."""

    words: tuple[HeardWord, ...]
    score: float

    @cached_property
    def text(self) -> str:
        """The words, separated by single spaces."""
        return " ".join(word.text for word in self.words)
