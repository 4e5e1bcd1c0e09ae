"""Beam search over a lexicon with an n-gram language model, by flashlight-text (Kahn et al. 2022, arXiv:2201.12465).

Score of a hypothesis: Σ (log p(token) − prior_weight · log prior(token)) + lm_weight · log10 p(words) + word_score ·
number of words (+ second_weight · log p(reading) of another head + recurrent_weight · log p(reading) of a recurrent
language model: `asr.decoding.rescoring`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
import torch
from flashlight.lib.text.decoder import (
    CriterionType,
    DecodeResult,
    LexiconDecoder,
    LexiconDecoderOptions,
    SmearingMode,
    Trie,
)
from flashlight.lib.text.decoder.kenlm import KenLM
from flashlight.lib.text.dictionary import Dictionary
from torch import Tensor

from asr.decoding.confidence import ConfidenceWeights
from asr.decoding.hotwords import Door, Doors, Emissions, Hotword, spellings_of
from asr.decoding.hypotheses import HeardWord, Hypothesis
from asr.decoding.lexicon import Lexicon, Spelling, token_ids
from asr.errors import CheckpointError, ConfigError

BLANK_ID = 0
UNKNOWN = "<unk>"
PIECE = 32  # frames searched at a time: other threads get their turn in between, as flashlight keeps Python's lock
MOST_HOMOPHONES = 6  # that flashlight's trie can hold at one place; the lexicon has the usual words first


@dataclass(frozen=True)
class Width:
    """Of a search: less is faster and makes more errors."""

    beam_size: int = 50  # hypotheses kept after each frame
    beam_size_token: int = 20  # tokens tried in each frame, the likeliest
    beam_threshold: float = 25.0  # hypotheses this far below the best are dropped


@dataclass(frozen=True)
class BeamConfig:
    """How wide the search is, and what a word costs. Weights are tuned on dev; the rest trades speed for accuracy."""

    head: str = "phoneme"
    beam_size: int = 50  # these three: the width of the search for finals, as in `Width`
    beam_size_token: int = 20
    beam_threshold: float = 25.0
    partials: Width = Width(30, 8, 12.0)  # of that for partials, whose words finals correct
    prior_weight: float = 0.0  # of how likely each token is anyway, blank above all (as in EESEN, Miao et al. 2015)
    log_priors: tuple[float, ...] = ()  # natural logs, one for each token of the head: scripts/measure_priors
    lm_weight: float = 2.0
    word_score: float = 0.0  # more: more and shorter words
    alternatives: int = 5  # other readings given with a final
    second_head: str = ""  # a head that writes text and has its say on the best readings; "" for none
    second_weight: float = 0.3  # of its log-probability of a reading
    sure_blank: float = 0.95  # of frames with so probable a blank only the first in a row is searched; 1: all are
    recurrent_weight: float = 0.0  # of log p of a reading by the recurrent language model, where the model brings one
    rescored: int = 20  # readings that these two are asked about
    confidence: ConfidenceWeights | None = None  # None: how loudly a word's tokens are said, as it comes

    def __post_init__(self) -> None:
        if self.beam_size < 1 or self.rescored < 1 or self.alternatives < 0:
            raise ConfigError("decoding", "expected beam_size and rescored of at least 1, alternatives of at least 0")
        if self.partials.beam_size < 1 or self.partials.beam_size_token < 1:
            raise ConfigError("decoding.partials", "expected sizes of at least 1")
        if self.prior_weight and not self.log_priors:
            raise ConfigError("decoding", "a prior_weight needs log_priors: scripts/measure_priors")


class BeamDecoder:
    """A lexicon, a language model and the search over them. Threads may share it: each search is its own."""

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
        self.config = config
        self.worth = _worth_of_tokens(config, len(tokens))
        ways = [(hotword, spelling) for hotword in hotwords for spelling in spellings_of(hotword, lexicon)]
        phrases = [f"{hotword.phrase}\t{number}" for number, (hotword, _) in enumerate(ways)]
        self.words = Dictionary()
        for word in [*lexicon, *phrases, UNKNOWN]:
            self.words.add_entry(word)
        self.unknown = self.words.get_index(UNKNOWN)
        self.words.set_default_index(self.unknown)
        self._phrases: dict[int, tuple[tuple[str, ...], tuple[int, ...]]] = {}  # label -> words, tokens of each
        try:
            self.lm = KenLM(str(lm), self.words)
            self._ids = {token: i for i, token in enumerate(tokens)}
            self.trie = Trie(len(tokens) + 2 * len(ways), BLANK_ID)
            self._insert(lexicon)
            doors = [self._door(*way, label) for way, label in zip(ways, phrases, strict=True)]
            self.doors = Doors(doors, size=len(tokens), open_among=config.beam_size_token)
            for number, (way, label) in enumerate(zip(ways, phrases, strict=True)):
                self._insert_behind(number, *way, label)
            self.trie.smear(SmearingMode.MAX)
        except (RuntimeError, KeyError) as error:
            raise CheckpointError(lm, f"expected a language model and a lexicon for this model: {error}") from error

    def decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """(T', V) -> readings, the best first; one without words where nothing is heard."""
        search = BeamSearch(self)
        for piece in torch.split(log_probs, PIECE):
            search.feed(piece)
        return search.finish()

    def entry(self, label: int) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """What a label of the search says: words, and after how many tokens each but the last one ends."""
        return self._phrases.get(label) or ((self.words.get_entry(label),), ())

    def _insert(self, lexicon: Lexicon) -> None:
        begin = self.lm.start(False)
        homophones: dict[tuple[int, ...], int] = {}
        for word, spellings in lexicon.items():
            index = self.words.get_index(word)
            _, score = self.lm.score(begin, index)
            for spelling in token_ids(spellings, self._ids):
                homophones[tuple(spelling)] = homophones.get(tuple(spelling), 0) + 1
                if homophones[tuple(spelling)] <= MOST_HOMOPHONES:
                    self.trie.insert(spelling, index, score)

    def _door(self, hotword: Hotword, spelling: tuple[Spelling, ...], label: str) -> Door:
        """A phrase of several words is one word to the language model, unknown: the difference is made good here."""
        worth, config = hotword.boost, self.config
        if len(hotword.words) > 1:
            state, _ = begin = self.lm.start(True), 0.0
            said = 0.0
            for word in hotword.words:
                state, score = self.lm.score(state, self.words.get_index(word))
                said += score
            _, unknown = self.lm.score(begin[0], self.words.get_index(label))
            worth += config.lm_weight * (said - unknown) + config.word_score * (len(hotword.words) - 1)
        return Door(self._ids[spelling[0][0]], worth)

    def _insert_behind(self, number: int, hotword: Hotword, spelling: tuple[Spelling, ...], label: str) -> None:
        """All ways through a door: by its even or odd token, the first phoneme over at once or going on."""
        parts = token_ids(spelling, self._ids)
        first, *rest = [token for part in parts for token in part]
        single = len(parts) == 1
        index = self.words.get_index(hotword.phrase if single else label)
        if not single:
            ends = np.cumsum([len(part) for part in parts[:-1]]).tolist()
            self._phrases[index] = (hotword.words, tuple(ends))
        _, score = self.lm.score(self.lm.start(False), index)
        for odd in (False, True):
            door = self.doors.token(number, odd=odd)
            self.trie.insert([door, *rest], index, score)
            self.trie.insert([door, first, *rest], index, score)


class BeamSearch:
    """One utterance's search, fed as its log-probabilities come: the end is that of all of them at once."""

    def __init__(self, decoder: BeamDecoder, width: Width | None = None) -> None:
        """`width`: that of finals where None."""
        config = decoder.config
        width = width or Width(config.beam_size, config.beam_size_token, config.beam_threshold)
        self._decoder = decoder
        options = LexiconDecoderOptions(
            beam_size=width.beam_size,
            beam_size_token=width.beam_size_token + decoder.doors.columns,
            beam_threshold=width.beam_threshold,
            lm_weight=config.lm_weight,
            word_score=config.word_score,
            unk_score=float("-inf"),
            sil_score=0.0,
            log_add=False,
            criterion_type=CriterionType.CTC,
        )
        self._search = LexiconDecoder(options, decoder.trie, decoder.lm, BLANK_ID, BLANK_ID, decoder.unknown, [], False)
        self._search.decode_begin()
        self._seen, self._sure = 0, False  # frames so far; whether the last was blank for sure
        self._frames = np.zeros(0, np.int64)  # of those that are searched, their numbers
        self._emissions = np.zeros((0, 0), np.float32)  # and what they say

    def feed(self, log_probs: Tensor) -> None:
        """More frames: (T', V)."""
        if not len(log_probs):
            return
        emissions = np.ascontiguousarray(log_probs.numpy(), dtype=np.float32)
        sure = emissions[:, BLANK_ID] >= log(self._decoder.config.sure_blank)
        kept = np.flatnonzero(~(sure & np.concatenate([[self._sure], sure[:-1]])))
        wide = self._decoder.doors.widened(emissions[kept] + self._decoder.worth, len(self._frames))
        if len(wide):
            self._search.decode_step(wide.ctypes.data, *wide.shape)
            self._emissions = np.concatenate([self._emissions.reshape(-1, emissions.shape[1]), emissions[kept]])
        self._frames = np.concatenate([self._frames, self._seen + kept])
        self._seen, self._sure = self._seen + len(emissions), bool(sure[-1])

    def so_far(self) -> tuple[Hypothesis, int]:
        """The best reading of what was fed, a word that has not ended left out; how many of its words all share."""
        results = self._search.get_all_final_hypothesis() if len(self._frames) else []
        if not results:
            return Hypothesis((), 0.0), 0
        labels = [_labels(result) for result in results]
        first, last = min(labels), max(labels)  # what these two share all share
        shared = next((i for i, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), None)
        agreed = first[: min(len(first), len(last)) if shared is None else shared]
        return self._hypothesis(_first(results)), sum(len(self._decoder.entry(label)[0]) for label in agreed)

    def finish(self) -> list[Hypothesis]:
        """Readings of all that was fed, the best first; one without words where nothing is heard."""
        if not len(self._frames):
            return [Hypothesis((), 0.0)]
        self._search.decode_end()
        ways: dict[tuple[int, ...], list[DecodeResult]] = {}
        for result in self._search.get_all_final_hypothesis():
            ways.setdefault(_labels(result), []).append(result)
        best = {labels: _first(same) for labels, same in ways.items()}
        ranked = [best[labels] for labels in sorted(best, key=lambda x: (-best[x].score, x))]
        config, kept = self._decoder.config, dict[str, Hypothesis]()
        count = max(config.rescored, config.alternatives + 1)
        for hypothesis in map(self._hypothesis, ranked):
            kept.setdefault(hypothesis.text, hypothesis)  # phrases and words may say the same
            if len(kept) == count:
                break
        return sorted(kept.values(), key=lambda x: (-x.score, x.text)) or [Hypothesis((), 0.0)]

    def _hypothesis(self, result: DecodeResult) -> Hypothesis:
        """flashlight has a step before the first frame and one after the last, and says a word at its last token."""
        count = len(self._frames)
        tokens, labels = result.tokens[1 : count + 1], result.words[1 : count + 1]
        path = self._decoder.doors.sound(tokens)
        fresh = [token != BLANK_ID and (i == 0 or token != path[i - 1]) for i, token in enumerate(path)]
        spans: list[list[int]] = []  # label, first frame, frame after the last
        start: int | None = None
        for frame, (token, label) in enumerate(zip(path, labels, strict=True)):
            if fresh[frame] and start is None:
                start = frame
            if label >= 0:
                spans.append([label, frame if start is None else start, frame + 1])
                start = None
            elif token != BLANK_ID and not fresh[frame] and start is None and spans:
                spans[-1][2] = frame + 1
        return Hypothesis(tuple(word for span in spans for word in self._words(path, fresh, *span)), result.score)

    def _words(self, path: list[int], fresh: list[bool], label: int, first: int, end: int) -> list[HeardWord]:
        """The words of one label over the searched frames [first, end)."""
        words, counts = self._decoder.entry(label)
        begins = [i for i in range(first, end) if fresh[i]]
        borders = [first, *(begins[min(n, len(begins) - 1)] for n in counts), end]
        return [
            HeardWord(
                word,
                int(self._frames[i]),
                int(self._frames[max(i, j - 1)]) + 1,
                _confidence(path[i:j], self._emissions[i:j]),
            )
            for word, (i, j) in zip(words, pairwise(borders), strict=True)
        ]


def _worth_of_tokens(config: BeamConfig, tokens: int) -> Emissions:
    """(1, V): what each token's log-probability is raised by; nothing for the blank, most for rare phonemes."""
    if not config.prior_weight:
        return np.zeros((1, tokens), np.float32)
    if len(config.log_priors) != tokens:
        raise ConfigError("decoding", f"expected {tokens} log_priors, one for each token, got {len(config.log_priors)}")
    priors = np.asarray(config.log_priors, np.float32)
    worth: Emissions = config.prior_weight * (priors[BLANK_ID] - priors)[None]
    return worth


def _labels(result: DecodeResult) -> tuple[int, ...]:
    return tuple(label for label in result.words if label >= 0)


def _first(results: Sequence[DecodeResult]) -> DecodeResult:
    """The best. flashlight gives ties in no order, so labels and tokens make one."""
    score = max(result.score for result in results)
    tied = [result for result in results if result.score == score]
    return tied[0] if len(tied) == 1 else min(tied, key=lambda result: (result.words, result.tokens))


def _confidence(path: list[int], emissions: Emissions) -> float:
    said = [float(emissions[frame, token]) for frame, token in enumerate(path) if token != BLANK_ID]
    return exp(sum(said) / len(said)) if said else 0.0
