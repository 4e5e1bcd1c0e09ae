"""What a recogniser says: words with times and confidence, in utterances, in a transcript. Imports no torch."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Word:
    """One word; times in seconds from the start of the recording, confidence in [0, 1]."""

    text: str
    start_s: float
    end_s: float
    confidence: float


@dataclass(frozen=True)
class Alternative:
    """Another reading of an utterance, with its score (log-probability, higher is better)."""

    text: str
    score: float


@dataclass(frozen=True)
class Utterance:
    """A stretch of speech, cut by the rules of `asr.segments`, and the words heard in it. Times in seconds."""

    start_s: float
    end_s: float
    words: tuple[Word, ...]
    alternatives: tuple[Alternative, ...] = ()

    @property
    def text(self) -> str:
        """The words, separated by single spaces."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True)
class Transcript:
    """All that was heard in one recording. `name` is the path or stream it came from.

    Of a part of a recording `duration_s` is the part's, and times are those of the whole recording. `notes` are what a
    person should know of how it was read.
    """

    name: str
    duration_s: float
    utterances: tuple[Utterance, ...]
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All words, separated by single spaces."""
        return " ".join(utterance.text for utterance in self.utterances if utterance.words)

    @property
    def words(self) -> tuple[Word, ...]:
        """All words in order."""
        return tuple(word for utterance in self.utterances for word in utterance.words)

    def later(self, by_s: float) -> "Transcript":
        """The same words, so many seconds later."""
        return replace(self, utterances=tuple(_later(utterance, by_s) for utterance in self.utterances))


def _later(utterance: Utterance, by_s: float) -> Utterance:
    words = tuple(replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in utterance.words)
    return replace(utterance, start_s=utterance.start_s + by_s, end_s=utterance.end_s + by_s, words=words)
