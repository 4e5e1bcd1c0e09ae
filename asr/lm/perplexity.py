"""How well a language model predicts a text: an n-gram, or a recurrent model over subwords, word by word alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import log
from pathlib import Path

from asr.errors import ConfigError
from asr.lm.automaton import load_ngrams
from asr.lm.recurrent import LanguageModel


@dataclass(frozen=True)
class Perplexity:
    """10 ** (-log10 p / predictions): over words and sentence ends together, as KenLM's query tells it."""

    sentences: int
    words: int
    log10: float  # of the whole text, sentence ends included
    unknown: int  # words that the model does not have
    unknown_log10: float
    left_out: int = 0  # sentences with letters that a recurrent model cannot write

    @property
    def including_unknown(self) -> float:
        """Each unknown word costs what the model gives to <unk>."""
        return float(10 ** (-self.log10 / (self.words + self.sentences)))

    @property
    def excluding_unknown(self) -> float:
        """Unknown words are not counted; they still cut the context."""
        known = self.words - self.unknown + self.sentences
        return float(10 ** (-(self.log10 - self.unknown_log10) / known))


def perplexity(model: Path, lines: Iterable[str]) -> Perplexity:
    """Score sentences, one a line, by an ARPA file or a packed one. Raises CheckpointError, ConfigError."""
    sentences = [words for line in lines if (words := line.split())]
    if not sentences:
        raise ConfigError("text", "expected one sentence or more, got none")
    lm = load_ngrams(model)
    total = unknown_total = 0.0
    unknown = 0
    for words in sentences:
        scores = lm.score(words)
        total += sum(scores)
        strange = [score for word, score in zip(words, scores, strict=False) if lm.number(word) < 0]
        unknown, unknown_total = unknown + len(strange), unknown_total + sum(strange)
    count = sum(len(words) for words in sentences)
    return Perplexity(len(sentences), count, total, unknown, unknown_total)


def recurrent_perplexity(model: LanguageModel, lines: Iterable[str], *, together: int = 64) -> Perplexity:
    """Score sentences by a recurrent model; a word costs what all its subwords cost, so no word is unknown.

    Sentences that its units cannot write are counted, not scored. Raises ConfigError where none is left.
    """
    given = [" ".join(words) for line in lines if (words := line.split())]
    written = sorted((text for text in given if model.encode(text) is not None), key=len)
    if not written:
        raise ConfigError("text", "expected a sentence or more that the model's subwords can write, got none")
    groups = (written[first : first + together] for first in range(0, len(written), together))
    total = sum(float(model.score(group).double().sum()) for group in groups) / log(10)
    count = sum(len(text.split()) for text in written)
    return Perplexity(len(written), count, total, 0, 0.0, len(given) - len(written))
