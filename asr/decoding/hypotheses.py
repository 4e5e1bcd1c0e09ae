"""What a search finds: readings of an utterance, in frames."""

from dataclasses import dataclass


@dataclass(frozen=True)
class HeardWord:
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

    @property
    def text(self) -> str:
        """The words, separated by single spaces."""
        return " ".join(word.text for word in self.words)
