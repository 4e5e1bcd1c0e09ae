"""Which words are wrong: rare ones, numbers, names, letters; and what was heard instead."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from asr.evaluation.english import NUMBER_WORDS
from asr.evaluation.normalise import Normaliser
from asr.evaluation.scores import Scored, percent

RARE_EDGES = ((0, 0, "never (out of vocabulary)"), (1, 4, "1–4"), (5, 19, "5–19"), (20, 99, "20–99"))
OFTEN = "100 or more"


@dataclass(frozen=True)
class WordKind:
    """Reference words of one kind: how many, how many were missed (substituted or deleted), and that in percent."""

    kind: str
    words: int
    missed: int
    missed_percent: float


@dataclass(frozen=True)
class Confusion:
    """reference was heard as hypothesis, so often; "" stands for nothing (a deletion or an insertion)."""

    reference: str
    hypothesis: str
    count: int


def confusions(scored: Iterable[Scored], *, most: int = 100) -> list[Confusion]:
    """The most frequent errors, the most frequent first."""
    steps = (step for x in scored for step in x.alignment.steps if step.kind != "hit")
    pairs = Counter((step.reference or "", step.hypothesis or "") for step in steps)
    return [Confusion(a, b, count) for (a, b), count in pairs.most_common(most)]


def word_kinds(scored: Sequence[Scored], normalise: Normaliser) -> list[WordKind]:
    """Numbers, names (a capital inside a sentence, where the reference has capitals), single letters, all others."""

    def kinds() -> Iterator[tuple[str, bool]]:
        for x in scored:
            names = _names(x.answer.reference, normalise)
            yield from ((_kind(word, names), right) for word, right in _said(x))

    return _count(kinds())


def rare_words(scored: Sequence[Scored], training_counts: Mapping[str, int]) -> list[WordKind]:
    """Reference words by how often they were in the training text."""
    said = (pair for x in scored for pair in _said(x))
    return _count((_rarity(training_counts.get(word, 0)), right) for word, right in said)


def out_of_vocabulary_rate(scored: Sequence[Scored], training_counts: Mapping[str, int]) -> float:
    """Percent of the reference words that were never in the training text."""
    words = [word for x in scored for word in x.reference.split()]
    return percent(sum(word not in training_counts for word in words), len(words))


def count_words(lines: Iterable[str], normalise: Normaliser) -> Counter[str]:
    """How often each normalised word is in a text."""
    return Counter(word for line in lines for word in normalise(line).split())


def _said(x: Scored) -> Iterator[tuple[str, bool]]:
    """(word, heard right) of every reference word."""
    return ((step.reference, step.kind == "hit") for step in x.alignment.steps if step.reference is not None)


def _count(rows: Iterable[tuple[str, bool]]) -> list[WordKind]:
    words: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for kind, right in rows:
        words[kind] += 1
        missed[kind] += not right
    kinds = sorted(words, key=ORDER.index)
    return [WordKind(kind, words[kind], missed[kind], percent(missed[kind], words[kind])) for kind in kinds]


def _names(text: str, normalise: Normaliser) -> frozenset[str]:
    """Words with a capital that do not begin a sentence; none where all is capitals, or nothing is."""
    if text.isupper() or text.islower():
        return frozenset()
    words = text.split()
    capital = (
        w for before, w in pairwise(words) if w[:1].isupper() and before[-1] not in ".?!" and w not in {"I", "I'm"}
    )
    return frozenset(part for word in capital for part in normalise(word).split())


def _kind(word: str, names: frozenset[str]) -> str:
    if word in names:
        return "name"
    if word in NUMBER_WORDS or any(letter.isdigit() for letter in word):
        return "number"
    return "letter" if len(word) == 1 and word not in {"a", "i", "o"} else "other"


def _rarity(count: int) -> str:
    return next((name for low, high, name in RARE_EDGES if low <= count <= high), OFTEN)


ORDER = ("name", "number", "letter", "other", *(name for _, _, name in RARE_EDGES), OFTEN)
