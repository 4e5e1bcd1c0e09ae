"""Phrases that a user expects, each with a boost that a reading gets where the phrase is said whole.

The search enters a phrase by a door: a token of our own that sounds like the phrase's first phoneme and is worth the
boost more. Behind a door there is only its phrase, so who enters and says something else comes nowhere: nothing has to
be taken back. Until the phrase is said whole the boost is on credit: it carries its path over the search's threshold,
but lifts the threshold for no other path. CTC may hold a token over several frames and would count the boost in each;
so every door is there twice, once open in even frames only and once in odd ones, and is passed in one frame. A phoneme
that lasts longer goes on as itself. All this is tokens and spellings, so a search with hotwords costs little more.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice, product

import numpy as np

from asr.decoding.lexicon import Lexicon, Spelling
from asr.decoding.trie import Trie
from asr.errors import ConfigError
from asr.model.pronouncer import is_spelled, pronounce

MOST_SPELLINGS = 8  # of a phrase of several words, each said in several ways
MOST_BOOST = 100.0  # a phrase worth more would stand everywhere
PRONUNCIATIONS = 3  # of a new word, where the network hesitates
NO_WORTH = np.float32(-1e9)  # of a door that is shut: below any threshold of a search

Emissions = np.ndarray[tuple[int, int], np.dtype[np.float32]]
Credit = np.ndarray[tuple[int], np.dtype[np.float64]]


@dataclass(frozen=True)
class Hotword:
    """A phrase and what it is worth when it is said whole, in natural-log units of a hypothesis's score: 3 to 9.

    Of 37 words in dev that the lexicon lacks the default model finds 15 at 3, 20 at 5, 24 at 7; of 43 recordings in
    which none of them is said it reads none differently at 5, one at 7 and at 9.
    """

    phrase: str
    boost: float = 7.0

    def __post_init__(self) -> None:
        if not self.phrase.split() or not 0 < self.boost <= MOST_BOOST:
            problem = f"expected words and a boost above 0, at most {MOST_BOOST:g}"
            raise ConfigError("hotwords", f"{problem}, got {self.phrase!r} and {self.boost}")

    @property
    def words(self) -> tuple[str, ...]:
        """The phrase, word by word."""
        return tuple(self.phrase.split())


def parse_hotwords(given: Iterable[str]) -> tuple[Hotword, ...]:
    """ "new york" or "new york=8" (a boost) each, in any case. Raises ConfigError."""
    found = []
    for text in given:
        phrase, equals, boost = text.partition("=")
        try:
            found.append(Hotword(" ".join(phrase.lower().split()), float(boost) if equals else Hotword.boost))
        except ValueError:
            raise ConfigError("hotwords", f"expected PHRASE or PHRASE=BOOST, got {text!r}") from None
    return tuple(found)


def with_hotwords(lexicon: Lexicon, hotwords: Iterable[Hotword]) -> Lexicon:
    """A phoneme lexicon and the pronunciations of the phrases' new words: by dictionary, rule or network.

    Raises ConfigError for a word without letters, or with digits or signs, whose sounds nobody knows.
    """
    missing = sorted({word for hotword in hotwords for word in hotword.words} - lexicon.keys())
    added = {word: pronounce(word, most=PRONUNCIATIONS) if is_spelled(word) else () for word in missing}
    if unknown := [word for word, said in added.items() if not said]:
        problem = f"expected letters alone in {', '.join(unknown)}"
        raise ConfigError("hotwords", f"{problem}; spell it as words that sound so, such as c plus plus")
    return lexicon | added


def spellings_of(hotword: Hotword, lexicon: Lexicon) -> list[tuple[Spelling, ...]]:
    """Ways to say a phrase: a spelling for each word. Raises ConfigError for a word that the lexicon lacks.

    One phoneme alone is no phrase: at each frame that sounds a little like it the boost would be to be had again.
    """
    if unknown := [word for word in hotword.words if word not in lexicon]:
        raise ConfigError("hotwords", f"not in the lexicon: {', '.join(unknown)}")
    ways = islice(product(*(lexicon[word] for word in hotword.words)), MOST_SPELLINGS)
    found = [way for way in ways if sum(map(len, way)) > 1]
    if not found:
        raise ConfigError("hotwords", f"{hotword.phrase!r} is one phoneme, too short to be boosted; give it company")
    return found


@dataclass(frozen=True)
class Door:
    """The entrance to a phrase: the token that it sounds like and what passing it is worth. Two tokens: even, odd."""

    token: int
    worth: float


class Doors:
    """All doors as further columns of the log-probabilities: `size` tokens, then even and odd of the first door, …"""

    def __init__(self, doors: Sequence[Door], *, size: int, open_among: int) -> None:
        """`open_among`: a door is shut in frames where its token is not among so many likeliest ones."""
        self._size, self._open_among = size, min(open_among, size)
        self._tokens = np.array([door.token for door in doors], dtype=np.int64)
        self._worth = np.array([door.worth for door in doors], dtype=np.float32)

    @property
    def columns(self) -> int:
        """How many tokens there are more than before."""
        return 2 * len(self._tokens)

    def token(self, door: int, *, odd: bool) -> int:
        """The number of one of a door's two tokens."""
        return self._size + 2 * door + odd

    def widened(self, emissions: Emissions, first_frame: int) -> Emissions:
        """(T, V) from the search's frame `first_frame` on -> (T, V + columns)."""
        if not self.columns or not len(emissions):
            return emissions
        likely = np.partition(emissions, -self._open_among, axis=1)[:, -self._open_among, None]
        heard = emissions[:, self._tokens]
        worth = np.where(heard >= likely, heard + self._worth, NO_WORTH)
        doors = np.full((*worth.shape, 2), NO_WORTH, dtype=np.float32)
        frames = np.arange(len(emissions))
        doors[frames, :, (first_frame + frames) % 2] = worth
        return np.ascontiguousarray(np.concatenate([emissions, doors.reshape(len(emissions), -1)], axis=1))

    def credit(self, trie: Trie) -> Credit:
        """(N,) of each node of a tree: the boost behind a door, 0 elsewhere."""
        begin, token = trie.nodes["begin"], trie.nodes["token"]
        credit = np.zeros(len(begin))
        for child in range(begin[0], begin[1]):
            first, end = child, child + 1
            while token[child] >= self._size and first < end:  # the child, its children, theirs: each side by side
                credit[first:end] = self._worth[(token[child] - self._size) // 2]
                first, end = begin[first], begin[end]
        return credit

    def sound(self, tokens: Sequence[int]) -> list[int]:
        """Tokens of a path, each door as the token that it sounds like."""
        return [token if token < self._size else int(self._tokens[(token - self._size) // 2]) for token in tokens]
