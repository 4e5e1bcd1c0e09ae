"""Phrases that a user expects: each word of one is worth a share of its boost, taken back where the phrase breaks off.

A language model around KenLM's: the phrases form an automaton (Aho & Corasick 1975) over words, and a state is where
in it we are with the words that the n-gram remembers, so that equal histories still meet in the beam.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from flashlight.lib.text.decoder import LM, LMState
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary

from asr.decoding.lexicon import Lexicon, phoneme_lexicon
from asr.errors import ConfigError

REMEMBERED = 4  # words that tell histories apart: those of a 5-gram


@dataclass(frozen=True)
class Hotword:
    """A phrase and what it is worth when it is said whole, in natural-log units of a hypothesis's score: 2 to 10."""

    phrase: str
    boost: float = 5.0

    def __post_init__(self) -> None:
        if not self.phrase.split() or not self.boost > 0:
            raise ConfigError("hotwords", f"expected words and a boost above 0, got {self.phrase!r} and {self.boost}")

    @property
    def words(self) -> tuple[str, ...]:
        """The phrase, word by word."""
        return tuple(self.phrase.split())


def with_hotwords(lexicon: Lexicon, hotwords: Iterable[Hotword]) -> Lexicon:
    """A phoneme lexicon and the pronunciations of the phrases' new words, by dictionary or rule. Raises ConfigError."""
    missing = sorted({word for hotword in hotwords for word in hotword.words} - lexicon.keys())
    added = phoneme_lexicon(missing, derived=True)
    if unknown := [word for word in missing if word not in added]:
        raise ConfigError(
            "hotwords", f"no pronunciation is known of {', '.join(unknown)}; spell it as words that sound so"
        )
    return lexicon | added


class Phrases:
    """The automaton: from the words heard so far and the next, to the words that still count and the reward."""

    def __init__(self, phrases: dict[tuple[int, ...], float]) -> None:
        """Phrases as word numbers, each with its boost."""
        self._whole = phrases
        self._promised: dict[tuple[int, ...], float] = {(): 0.0}
        for phrase, boost in phrases.items():
            for n in range(1, len(phrase)):
                share = boost * n / len(phrase)
                self._promised[phrase[:n]] = max(share, self._promised.get(phrase[:n], 0.0))

    def step(self, heard: tuple[int, ...], word: int) -> tuple[tuple[int, ...], float]:
        """The longest end of what is heard that begins a phrase; what the word earns, less what is taken back."""
        now = (*heard, word)
        ends = [now[i:] for i in range(len(now))]
        earned = max((self._whole[end] for end in ends if end in self._whole), default=0.0)
        kept = next((end for end in ends if end in self._promised), ())
        if earned and kept not in self._whole:  # a word is not worth two phrases
            kept = ()
        promised = 0.0 if earned else self._promised[kept]
        before = 0.0 if heard in self._whole else self._promised[heard]
        return kept, earned + promised - before

    def finish(self, heard: tuple[int, ...]) -> float:
        """What is taken back where the words end."""
        return 0.0 if heard in self._whole else -self._promised[heard]


class HotwordLM(LM):  # type: ignore[misc]
    """KenLM's score (log10) plus the phrases' rewards over the LM weight. For one search in one thread."""

    def __init__(self, lm: KenLM, words: Dictionary, hotwords: Sequence[Hotword], *, lm_weight: float) -> None:
        """Raises ConfigError where the weight would hide the rewards, or a word is not in the dictionary."""
        super().__init__()
        if lm_weight <= 0:
            raise ConfigError("hotwords", f"expected a language-model weight above 0, got {lm_weight}")
        if unknown := {x for hotword in hotwords for x in hotword.words if not words.contains(x)}:
            raise ConfigError("hotwords", f"not in the lexicon: {', '.join(sorted(unknown))}")
        self._lm, self._weight = lm, lm_weight
        self._phrases = Phrases({tuple(map(words.get_index, x.words)): x.boost for x in hotwords})
        self._clear()

    def _clear(self) -> None:
        self._states: dict[tuple[tuple[int, ...], tuple[int, ...]], LMState] = {}
        self._known: dict[LMState, tuple[LMState, tuple[int, ...], tuple[int, ...]]] = {}
        self._scored: dict[tuple[LMState, int], tuple[LMState, float]] = {}

    def start(self, start_with_nothing: bool) -> LMState:
        """A new utterance: what the last one left is forgotten."""
        self._clear()
        return self._remember(self._lm.start(start_with_nothing), (), ())

    def score(self, state: LMState, word: int) -> tuple[LMState, float]:
        """The state after the word, and what the word is worth."""
        found = self._scored.get((state, word))  # the beam asks the same in frame after frame
        if found is None:
            inner, history, heard = self._known[state]
            inner, score = self._lm.score(inner, word)
            heard, reward = self._phrases.step(heard, word)
            after = self._remember(inner, (*history, word)[-REMEMBERED:], heard)
            found = self._scored[state, word] = (after, score + reward / self._weight)
        return found

    def finish(self, state: LMState) -> tuple[LMState, float]:
        """The state after the last word, and what ending there is worth."""
        inner, history, heard = self._known[state]
        inner, score = self._lm.finish(inner)
        ended = self._remember(inner, (*history, -1)[-REMEMBERED:], ())
        return ended, score + self._phrases.finish(heard) / self._weight

    def _remember(self, inner: LMState, history: tuple[int, ...], heard: tuple[int, ...]) -> LMState:
        state = self._states.get((history, heard))
        if state is None:
            state = self._states[history, heard] = LMState()
            self._known[state] = (inner, history, heard)
        return state
