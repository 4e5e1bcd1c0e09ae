"""Beam search over a lexicon with an n-gram language model, by flashlight-text (Kahn et al. 2022, arXiv:2201.12465).

Score of a hypothesis: Σ log p(token) + lm_weight · log10 p(words) + word_score · number of words
(+ second_weight · log p(reading) of another head: `asr.decoding.rescoring`).
"""

import threading
from dataclasses import dataclass
from math import exp
from pathlib import Path

import numpy as np
from flashlight.lib.text.decoder import (
    LM,
    CriterionType,
    LexiconDecoder,
    LexiconDecoderOptions,
    SmearingMode,
    Trie,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from torch import Tensor

from asr.decoding.hotwords import Hotword, HotwordLM
from asr.decoding.lexicon import Lexicon, token_ids
from asr.errors import CheckpointError, ConfigError

Emissions = np.ndarray[tuple[int, int], np.dtype[np.float32]]

BLANK_ID = 0
UNKNOWN = "<unk>"
MOST_HOMOPHONES = 6  # that flashlight's trie can hold at one place; the lexicon has the usual words first


@dataclass(frozen=True)
class BeamConfig:
    """How wide the search is, and what a word costs. Weights are tuned on dev; the rest trades speed for accuracy."""

    head: str = "phoneme"
    beam_size: int = 50  # hypotheses kept after each frame
    beam_size_token: int = 20  # tokens tried in each frame, the likeliest
    beam_threshold: float = 25.0  # hypotheses this far below the best are dropped
    lm_weight: float = 2.0
    word_score: float = 0.0  # more: more and shorter words
    alternatives: int = 5  # other readings given with a final
    second_head: str = ""  # a head that writes text and has its say on the best readings; "" for none
    second_weight: float = 0.3  # of its log-probability of a reading
    rescored: int = 20  # readings that it is asked about

    def __post_init__(self) -> None:
        if self.beam_size < 1 or self.rescored < 1 or self.alternatives < 0:
            raise ConfigError("decoding", "expected beam_size and rescored of at least 1, alternatives of at least 0")


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


class BeamDecoder:
    """A lexicon, a language model and the search over them. Threads may share it: each gets a search of its own."""

    def __init__(
        self,
        *,
        lexicon: Lexicon,
        tokens: tuple[str, ...],
        lm: Path,
        config: BeamConfig,
        hotwords: tuple[Hotword, ...] = (),
    ) -> None:
        """`tokens`: the head's, blank first. `lm`: a KenLM binary or ARPA. `hotwords`: of words in the lexicon.

        Raises CheckpointError, ConfigError.
        """
        self.config, self._hotwords = config, hotwords
        words = Dictionary()
        for word in [*lexicon, UNKNOWN]:
            words.add_entry(word)
        words.set_default_index(words.get_index(UNKNOWN))
        self._words, self._unknown = words, words.get_index(UNKNOWN)
        try:
            self._lm = KenLM(str(lm), words)
            self._trie = _trie(lexicon, tokens, words, self._scorer())
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(lm, f"expected a language model and a lexicon for this model: {error}") from error
        self._local = threading.local()

    def decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """(T', V) -> readings, the best first; one without words where nothing is heard."""
        if not len(log_probs):
            return [Hypothesis((), 0.0)]
        emissions = np.ascontiguousarray(log_probs.numpy(), dtype=np.float32)
        results = self._search().decode(emissions.ctypes.data, *emissions.shape)
        read = [self._hypothesis(result.tokens, result.words, float(result.score), emissions) for result in results]
        best: dict[str, Hypothesis] = {}
        for hypothesis in sorted(read, key=lambda x: (-x.score, x.text)):  # ties come in no order: make one
            best.setdefault(hypothesis.text, hypothesis)
        return list(best.values())[: max(self.config.rescored, self.config.alternatives + 1)] or [Hypothesis((), 0.0)]

    def _scorer(self) -> LM:
        if not self._hotwords:
            return self._lm
        return HotwordLM(self._lm, self._words, self._hotwords, lm_weight=self.config.lm_weight)

    def _search(self) -> LexiconDecoder:
        if not hasattr(self._local, "search"):
            config = self.config
            options = LexiconDecoderOptions(
                beam_size=config.beam_size,
                beam_size_token=config.beam_size_token,
                beam_threshold=config.beam_threshold,
                lm_weight=config.lm_weight,
                word_score=config.word_score,
                unk_score=float("-inf"),
                sil_score=0.0,
                log_add=False,
                criterion_type=CriterionType.CTC,
            )
            self._local.scorer = self._scorer()  # flashlight does not keep a Python object alive
            self._local.search = LexiconDecoder(
                options, self._trie, self._local.scorer, BLANK_ID, BLANK_ID, self._unknown, [], False
            )
        return self._local.search

    def _hypothesis(self, tokens: list[int], words: list[int], score: float, emissions: Emissions) -> Hypothesis:
        """flashlight has a step before the first frame and one after the last, and says a word at its last token."""
        path, labels = tokens[1 : len(emissions) + 1], words[1 : len(emissions) + 1]
        spans: list[list[int]] = []  # word, first frame, frame after the last
        start: int | None = None
        for frame, (token, label) in enumerate(zip(path, labels, strict=True)):
            fresh = token != BLANK_ID and (frame == 0 or token != path[frame - 1])
            if fresh and start is None:
                start = frame
            if label >= 0:
                spans.append([label, frame if start is None else start, frame + 1])
                start = None
            elif token != BLANK_ID and not fresh and start is None and spans:
                spans[-1][2] = frame + 1
        heard = (
            HeardWord(self._words.get_entry(word), first, end, _confidence(path[first:end], emissions[first:end]))
            for word, first, end in spans
        )
        return Hypothesis(tuple(heard), score)


def _confidence(path: list[int], emissions: Emissions) -> float:
    said = [float(emissions[frame, token]) for frame, token in enumerate(path) if token != BLANK_ID]
    return exp(sum(said) / len(said)) if said else 0.0


def _trie(lexicon: Lexicon, tokens: tuple[str, ...], words: Dictionary, lm: LM) -> Trie:
    ids = {token: i for i, token in enumerate(tokens)}
    trie = Trie(len(tokens), BLANK_ID)
    begin = lm.start(False)
    homophones: dict[tuple[int, ...], int] = {}
    for word, spellings in lexicon.items():
        index = words.get_index(word)
        _, score = lm.score(begin, index)
        for spelling in token_ids(spellings, ids):
            homophones[tuple(spelling)] = homophones.get(tuple(spelling), 0) + 1
            if homophones[tuple(spelling)] <= MOST_HOMOPHONES:
                trie.insert(spelling, index, score)
    trie.smear(SmearingMode.MAX)
    return trie
