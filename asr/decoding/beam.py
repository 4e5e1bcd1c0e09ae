"""Beam search over a lexicon with an n-gram language model: `asr.decoding.search` with words around it.

Score of a hypothesis: Σ (log p(token) − prior_weight · log prior(token)) + lm_weight · log10 p(words) + word_score ·
number of words (+ second_weight · log p(reading) of another head + recurrent_weight · log p(reading) of a recurrent
language model, final_lm_weight and final_word_score then in the place of the other two: `asr.decoding.rescoring`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from pathlib import Path

import numpy as np
from torch import Tensor

from asr.decoding.confidence import ConfidenceWeights
from asr.decoding.hotwords import Door, Doors, Emissions, Hotword, spellings_of
from asr.decoding.hypotheses import HeardWord, Hypothesis
from asr.decoding.lexicon import Lexicon, Spelling, token_ids
from asr.decoding.lookahead import build_lookahead
from asr.decoding.nbest import best_paths
from asr.decoding.paths import NONE, NOTHING, begin_history, labels_of, path_of
from asr.decoding.search import BLANK, Fixed, advance, begin_beam, hopes_beyond, scores_after
from asr.decoding.trie import build_trie
from asr.errors import CheckpointError, ConfigError
from asr.lm.automaton import END, load_ngrams

Doubles = np.ndarray[tuple[int], np.dtype[np.float64]]
Tokens = np.ndarray[tuple[int, int], np.dtype[np.int32]]  # (n, 5), as `path_of` gives them


@dataclass(frozen=True)
class Width:
    """Of a search: less is faster and makes more errors."""

    beam_size: int = 400  # hypotheses kept after each frame
    beam_size_token: int = 12  # tokens tried in each frame, the likeliest
    beam_threshold: float = 10.0  # hypotheses this far below the best are dropped

    def __post_init__(self) -> None:
        if self.beam_size < 1 or self.beam_size_token < 1 or not self.beam_threshold > 0:
            raise ConfigError("decoding", "expected beam sizes of at least 1 and a threshold above 0")


@dataclass(frozen=True)
class BeamConfig:
    """How wide the search is, and what a word costs. Weights are tuned on dev; the rest trades speed for accuracy."""

    head: str = "phoneme"
    beam_size: int = Width.beam_size  # these three: the width of the search for finals
    beam_size_token: int = Width.beam_size_token
    beam_threshold: float = Width.beam_threshold
    partials: Width = Width(60, 8, 8.0)  # of that for partials, whose words finals correct
    prior_weight: float = 0.0  # of how likely each token is anyway, blank above all (as in EESEN, Miao et al. 2015)
    log_priors: tuple[float, ...] = ()  # natural logs, one for each token of the head: scripts/measure_priors
    lm_weight: float = 2.0
    word_score: float = 0.0  # more: more and shorter words
    alternatives: int = 5  # other readings given with a final
    second_head: str = ""  # a head that writes text and has its say on the best readings; "" for none
    second_weight: float = 0.3  # of its log-probability of a reading
    sure_blank: float = 0.95  # of frames with so probable a blank only the first in a row is searched; 1: all are
    recurrent_weight: float = 0.0  # of log p of a reading by the recurrent language model, where the model brings one
    final_lm_weight: float | None = None  # of the n-grams where the recurrent model is asked too; None: lm_weight
    final_word_score: float | None = None  # there; None: word_score
    second_margin: float = 4.0  # readings further behind the best are not asked about: they would hardly win
    recurrent_margin: float = 3.0
    rescored: int = 20  # readings that are kept; of these the two are asked about the near ones
    confidence: ConfidenceWeights | None = None  # None: how loudly a word's tokens are said, as it comes

    def __post_init__(self) -> None:
        if self.rescored < 1 or self.alternatives < 0:
            raise ConfigError("decoding", "expected rescored of at least 1, alternatives of at least 0")
        if not (self.second_margin >= 0 and self.recurrent_margin >= 0):
            raise ConfigError("decoding", "expected second_margin and recurrent_margin of at least 0")
        if not 0 < self.sure_blank <= 1:
            raise ConfigError("decoding", f"expected sure_blank above 0, at most 1, got {self.sure_blank}")
        if self.prior_weight and not self.log_priors:
            raise ConfigError("decoding", "a prior_weight needs log_priors: scripts/measure_priors")
        _ = self.finals  # its sizes are checked

    @property
    def finals(self) -> Width:
        """The width of the search for finals."""
        return Width(self.beam_size, self.beam_size_token, self.beam_threshold)


@dataclass(frozen=True)
class _Label:
    """What the search says at once: a word, or a phrase of several and after how many tokens each but the last ends."""

    words: tuple[str, ...]
    ends: tuple[int, ...] = ()


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
        """`tokens`: the head's, blank first. `lm`: of `asr lm pack`, or ARPA. `hotwords`: of words in the lexicon.

        Raises CheckpointError, ConfigError.
        """
        self.config = config
        self.worth = _worth_of_tokens(config, len(tokens))
        self.ngrams = load_ngrams(lm)
        self._ids = {token: i for i, token in enumerate(tokens)}
        ways = [(hotword, spelling) for hotword in hotwords for spelling in spellings_of(hotword, lexicon)]
        self.labels = [_Label((word,)) for word in lexicon]
        spelled: list[tuple[list[int], int]] = []  # tokens, label
        try:
            for label, spellings in enumerate(lexicon.values()):
                spelled += [(spelling, label) for spelling in token_ids(spellings, self._ids)]
            doors = [Door(self._ids[spelling[0][0]], hotword.boost) for hotword, spelling in ways]
        except KeyError as error:
            raise CheckpointError(lm, f"expected a lexicon of tokens for this model, got the token {error}") from error
        self.doors = Doors(doors, size=len(tokens), open_among=config.beam_size_token)
        numbers = {word: label for label, word in enumerate(lexicon)}
        for number, way in enumerate(ways):
            spelled += self._behind(number, *way, numbers)
        self._fixed = self._shared(spelled)

    def decode(self, log_probs: Tensor) -> list[Hypothesis]:
        """(T', V) -> readings, the best first; one without words where nothing is heard."""
        search = BeamSearch(self)
        search.feed(log_probs)
        return search.finish()

    def fixed(self, width: Width) -> Fixed:
        """What all searches of a width share."""
        return self._fixed._replace(beam_size=width.beam_size, threshold=float(width.beam_threshold))

    def _shared(self, spelled: Sequence[tuple[list[int], int]]) -> Fixed:
        """What all searches share but for their width, from spellings with their labels."""
        automaton, config = self.ngrams.automaton, self.config
        counts = np.array([len(label.words) for label in self.labels], np.int32)
        number_begin = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
        said = (self.ngrams.number(word) for label in self.labels for word in label.words)
        numbers = np.fromiter(said, np.int32, number_begin[-1])
        unigrams = np.where(numbers < 0, automaton.unknown, automaton.nodes["probability"][1 + numbers])
        hopes = np.add.reduceat(unigrams, number_begin[:-1]) if len(counts) else unigrams
        labels = [label for _, label in spelled]
        trie = build_trie([tokens for tokens, _ in spelled], labels, hopes[labels])
        label_score = np.float32(config.word_score) * counts.astype(np.float32)
        alone = np.where(counts == 1, numbers[number_begin[:-1]], -1) if len(counts) else counts
        return Fixed(
            trie=trie,
            automaton=automaton,
            lookahead=build_lookahead(trie, automaton, alone.astype(np.int32)),
            number_begin=number_begin,
            numbers=numbers,
            label_score=label_score,
            best_label_score=float(label_score.max(initial=0.0)),
            credit=self.doors.credit(trie),
            lm_weight=float(config.lm_weight),
            beam_size=config.beam_size,
            threshold=config.beam_threshold,
        )

    def _behind(
        self, number: int, hotword: Hotword, spelling: tuple[Spelling, ...], numbers: dict[str, int]
    ) -> list[tuple[list[int], int]]:
        """All ways through a door: by its even or odd token, the first phoneme over at once or going on."""
        parts = token_ids(spelling, self._ids)
        first, *rest = [token for part in parts for token in part]
        if len(parts) == 1:
            label = numbers[hotword.phrase]
        else:
            label = len(self.labels)
            ends = np.cumsum([len(part) for part in parts[:-1]]).tolist()
            self.labels.append(_Label(hotword.words, tuple(ends)))
        doors = [self.doors.token(number, odd=odd) for odd in (False, True)]
        return [(way, label) for door in doors for way in ([door, *rest], [door, first, *rest])]


class BeamSearch:
    """One utterance's search, fed as its log-probabilities come: the end is that of all of them at once."""

    def __init__(self, decoder: BeamDecoder, width: Width | None = None) -> None:
        """`width`: that of finals where None."""
        self._decoder, self._width = decoder, width or decoder.config.finals
        self._fixed = decoder.fixed(self._width)
        self._beam, self._history = begin_beam(self._fixed, decoder.ngrams.start), begin_history()
        self._seen, self._sure = 0, False  # frames so far; whether the last was blank for sure
        self._frames = np.zeros(0, np.int64)  # of those that are searched, their numbers
        self._emissions = np.zeros((0, 0), np.float32)  # and what they say

    def feed(self, log_probs: Tensor) -> None:
        """More frames: (T', V)."""
        if not len(log_probs):
            return
        decoder = self._decoder
        emissions = np.ascontiguousarray(log_probs.numpy(), dtype=np.float32)
        sure = emissions[:, BLANK] >= log(decoder.config.sure_blank)
        kept = np.flatnonzero(~(sure & np.concatenate([[self._sure], sure[:-1]])))
        tokens = emissions[kept] + decoder.worth
        if len(tokens):
            most = min(self._width.beam_size_token, tokens.shape[1])
            floors = np.partition(tokens, -most, axis=1)[:, -most]
            wide = decoder.doors.widened(tokens, len(self._frames))
            self._beam, self._history = advance(self._fixed, self._beam, self._history, wide, floors, len(self._frames))
            self._emissions = np.concatenate([self._emissions.reshape(-1, emissions.shape[1]), emissions[kept]])
        self._frames = np.concatenate([self._frames, self._seen + kept])
        self._seen, self._sure = self._seen + len(emissions), bool(sure[-1])

    def so_far(self) -> tuple[Hypothesis, int]:
        """The best reading of what was fed, a word that has not ended left out; how many of its words all share."""
        beam, labels = self._beam, self._decoder.labels
        scores = self._scores()
        best = int(np.argmax(scores - hopes_beyond(self._fixed, beam)))  # said goes before hoped for
        alive = np.concatenate([beam.blank_trace[beam.blank > -np.inf], beam.sound_trace[beam.sound > -np.inf]])
        entry, end = self._way(best)
        rows = labels_of(self._history.trace, np.concatenate([[entry], np.unique(alive)]).astype(np.int32))
        said = int((rows[0] != NONE).sum())
        differs = (rows[1:, :said] != rows[0, :said]).any(axis=0)
        shared = int(np.argmax(differs)) if differs.any() else said
        count = sum(len(labels[label].words) for label in rows[0, :shared])
        path = path_of(self._history.trace, entry, end, NOTHING)
        return self._hypotheses([path], [float(scores[best])])[0], count

    def finish(self) -> list[Hypothesis]:
        """Readings of all that was fed, the best first; one without words where nothing is heard."""
        scores, config = self._final_scores(), self._decoder.config
        places = np.flatnonzero(scores > -np.inf)
        ways = np.array([self._way(int(i)) for i in places], np.int32).reshape(-1, 2)
        count, kept = max(config.rescored, config.alternatives + 1), dict[str, Hypothesis]()
        if len(places):
            found = best_paths(self._history, ways[:, 0], ways[:, 1], scores[places], count, self._width.beam_threshold)
            for hypothesis in self._hypotheses(*found):
                kept.setdefault(hypothesis.text, hypothesis)  # a phrase may say what its words say
        return sorted(kept.values(), key=lambda x: (-x.score, x.text)) or [Hypothesis((), 0.0)]

    def _scores(self) -> Doubles:
        """Of the better path of each hypothesis, without what it has on credit."""
        beam = self._beam
        return np.maximum(beam.blank, beam.sound) - self._fixed.credit[beam.node]

    def _final_scores(self) -> Doubles:
        """With the end of the sentence. Paths inside a word count only where there are no others."""
        beam, ngrams, scores = self._beam, self._decoder.ngrams, self._scores()
        whole = beam.node == 0
        if whole.any():
            scores = np.where(whole, scores, -np.inf)
        return scores + self._decoder.config.lm_weight * scores_after(ngrams.automaton, beam.state, ngrams.number(END))

    def _way(self, i: int) -> tuple[int, int]:
        """Where the trace of a hypothesis's better path begins to be read, and where its last token ends."""
        beam = self._beam
        if beam.sound[i] > beam.blank[i]:
            return int(beam.sound_trace[i]), int(beam.sound_end[i])
        return int(beam.blank_trace[i]), int(beam.blank_end[i])

    def _hypotheses(self, paths: Sequence[Tokens], scores: Sequence[float]) -> list[Hypothesis]:
        """Paths in words. `confidence`: the geometric mean of a word's tokens' probabilities over their frames."""
        path = np.concatenate(paths)  # all at once: small arrays cost more than long ones
        path[:, 0] = self._decoder.doors.sound(path[:, 0].tolist())
        token, start, end = path[:, 0], path[:, 2], path[:, 3]
        worth = np.pad(np.cumsum(self._emissions, axis=0, dtype=np.float64), ((1, 0), (0, 0)))  # (T + 1, V)
        said = np.cumsum([0.0, *(worth[end, token] - worth[start, token])]).tolist()
        frames = np.cumsum([0, *(end - start)]).tolist()
        starts, ends = self._frames[start].tolist(), (1 + self._frames[end - 1]).tolist()
        lasts = (1 + np.flatnonzero(path[:, 1] != NONE)).tolist()
        found, first, k, end_of_path = list[Hypothesis](), 0, 0, 0
        for rows, score in zip(paths, scores, strict=True):
            words, first, end_of_path = list[HeardWord](), end_of_path, end_of_path + len(rows)
            while k < len(lasts) and lasts[k] <= end_of_path:
                words += (
                    HeardWord(word, starts[i], ends[j - 1], exp((said[j] - said[i]) / (frames[j] - frames[i])))
                    for word, i, j in self._spans(path, first, lasts[k])
                )
                first, k = lasts[k], k + 1
            found.append(Hypothesis(tuple(words), score))
        return found

    def _spans(self, path: Tokens, first: int, last: int) -> list[tuple[str, int, int]]:
        """The words of one label with their rows [first, last)."""
        label = self._decoder.labels[path[last - 1, 1]]
        if not label.ends:
            return [(label.words[0], first, last)]
        rows = path[first:last]
        apart = (rows[1:, 0] != rows[:-1, 0]) | (rows[1:, 2] != rows[:-1, 3])
        begins = [0, *(1 + np.flatnonzero(apart)).tolist()]  # a door and its own phoneme behind it are one token
        inner = [begins[min(n, len(begins) - 1)] for n in label.ends]
        spans = zip(label.words, pairwise([0, *inner, len(rows)]), strict=True)
        return [(word, first + i, first + max(j, i + 1)) for word, (i, j) in spans]


def _worth_of_tokens(config: BeamConfig, tokens: int) -> Emissions:
    """(1, V): what each token's log-probability is raised by; nothing for the blank, most for rare phonemes."""
    if not config.prior_weight:
        return np.zeros((1, tokens), np.float32)
    if len(config.log_priors) != tokens:
        raise ConfigError("decoding", f"expected {tokens} log_priors, one for each token, got {len(config.log_priors)}")
    priors = np.asarray(config.log_priors, np.float32)
    worth: Emissions = config.prior_weight * (priors[BLANK] - priors)[None]
    return worth
