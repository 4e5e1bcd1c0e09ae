"""Is a word of a text really said where it was aligned? Its likelihood there, beside that of random words.

A posterior cannot tell: it is low wherever the model is unsure, and high where a token fits by chance. But a word that
is said fits better than nearly all others that are as long. So a word's score is the share of RIVALS words with as many
phonemes that fit worse: in its stretch of sound, between its neighbours, by CTC's likelihood over all paths (Graves et
al. 2006, section 4.1), the heads of the model together.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from asr.decoding.decoder import LEXICON
from asr.decoding.lexicon import load_lexicon
from asr.decoding.likelihood import ctc_log_likelihoods
from asr.evaluation.frames import Frames
from asr.model.bundle import Bundle
from asr.model.phonemes import PHONEMES, dictionary
from asr.model.pronouncer import pronounce
from asr.model.units import Units

RIVALS = 99
COMMON = 20_000  # words of the lexicon that rivals are drawn from; rarer ones fit badly for being rare
_FAR = 100  # frames from word to word that make them no neighbours
_EDGE = 25  # frames of a stretch on a side without a neighbour
_NEVER = -1e9
Spelling = tuple[int, ...]


@dataclass(frozen=True)
class SpelledWord:
    """A word as it is written, its number of phonemes, and head -> how it can write the word, most usual way first."""

    text: str
    phonemes: int
    ways: Mapping[str, tuple[Spelling, ...]]


class WordJudge:
    """Says of aligned words how well they fit; remembers the rivals of each length."""

    def __init__(self, bundle: Bundle, *heads: str) -> None:
        """The deepest head of each kind of units judges; `heads` are spelled besides."""
        own = bundle.model.config.heads
        deepest = {head.units: name for name, head in sorted(own.items(), key=lambda item: item[1].layer)}
        self.judges = tuple(deepest.values())
        self.units: dict[str, Units] = {name: bundle.units[own[name].units] for name in {*self.judges, *heads}}
        self._lexicon = bundle.attachments.get(LEXICON)
        self._rivals: dict[int, list[SpelledWord]] = {}

    def spell(self, word: str) -> SpelledWord:
        """Any word; case, and punctuation around it, do not count."""
        said = "".join(x for x in word.lower().replace("’", "'") if x.isalnum() or x == "'").strip("'")
        spoken = pronounce(said) if said else ()
        ways = {name: _ways(said, spoken, units) for name, units in self.units.items()}
        return SpelledWord(word, len(spoken[0]) if spoken else len(said), {k: way for k, way in ways.items() if way})

    def scores(
        self, frames: Mapping[str, Frames], words: Sequence[SpelledWord], spans: Sequence[tuple[int, int]]
    ) -> list[float]:
        """Head -> frames; words in order, each on frames [first, last) -> scores from 0 to 1."""
        return [self._score(frames, words, spans, i) for i in range(len(words))]

    def _score(
        self, frames: Mapping[str, Frames], words: Sequence[SpelledWord], spans: Sequence[tuple[int, int]], i: int
    ) -> float:
        first, last = max(0, spans[i][0] - _EDGE), min(len(frames[self.judges[0]]), spans[i][1] + _EDGE)
        before, after = None, None
        if i and spans[i][0] - spans[i - 1][0] < _FAR:
            first, before = spans[i - 1][0], words[i - 1]
        if i + 1 < len(words) and spans[i + 1][1] - spans[i][1] < _FAR:
            last, after = spans[i + 1][1], words[i + 1]
        known = [x.ways for x in (before, words[i], after) if x]
        heads = [name for name in self.judges if all(name in ways for ways in known)]
        if not heads:
            return float("nan")
        rivals = self._rivals_of(words[i].phonemes)
        own, others = torch.zeros(()), torch.zeros(len(rivals))
        for name in heads:
            found = _likelihoods(frames[name].stretch(first, last), name, (before, after), words[i], rivals)
            own, others = own + found[: -len(rivals)].max(), others + found[-len(rivals) :]
        return float((others < own).float().mean())

    def _rivals_of(self, phonemes: int) -> list[SpelledWord]:
        """Words of so many phonemes; where there are too few, of lengths nearby too."""
        if phonemes not in self._rivals:
            away, pool = 0, list(self._by_length.get(phonemes, []))
            while len(pool) < RIVALS and away < 100:
                away += 1
                pool += self._by_length.get(phonemes - away, []) + self._by_length.get(phonemes + away, [])
            random.Random(phonemes).shuffle(pool)
            spelled = (self.spell(word) for word in pool)
            complete = (x for x in spelled if all(name in x.ways for name in self.judges))
            self._rivals[phonemes] = [x for x, _ in zip(complete, range(RIVALS), strict=False)]
        return self._rivals[phonemes]

    @cached_property
    def _by_length(self) -> dict[int, list[str]]:
        known = dictionary()
        listed = load_lexicon(self._lexicon) if self._lexicon else known
        found: dict[int, list[str]] = {}
        for word in [word for word in listed if word in known][:COMMON]:
            found.setdefault(len(known[word][0]), []).append(word)
        return found


def _ways(said: str, spoken: Sequence[Sequence[str]], units: Units) -> tuple[Spelling, ...]:
    if units.tokens[1:] == PHONEMES:
        return tuple(tuple(PHONEMES.index(phoneme) + 1 for phoneme in way) for way in spoken)
    ids = units.encode(said) if said else None
    return (tuple(ids),) if ids else ()


def _likelihoods(
    log_probs: Tensor,
    head: str,
    neighbours: tuple[SpelledWord | None, SpelledWord | None],
    word: SpelledWord,
    rivals: Sequence[SpelledWord],
) -> Tensor:
    """log p of every way to say the word, then of every rival, between the neighbours: (N + RIVALS,)."""
    before, after = (x.ways[head][0] if x else () for x in neighbours)
    ways = [*word.ways[head], *(rival.ways[head][0] for rival in rivals)]
    return ctc_log_likelihoods([[*before, *way, *after] for way in ways], log_probs).clamp(min=_NEVER)
