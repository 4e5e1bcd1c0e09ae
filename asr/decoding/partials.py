"""The words of an utterance while it grows: greedily, or by the beam's search with its lexicon and language model.

What is heard is a value: `extend` gives a new one. Its first `stable` words never change, whatever comes later.
"""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from asr.decoding.decoder import BeamReader, GreedyReader
from asr.decoding.greedy import Token, decode_greedily, words_of
from asr.decoding.words import Word

if TYPE_CHECKING:
    from asr.decoding.beam import BeamSearch

MOST_SEARCHES = 256  # kept at work; a stream beyond them is searched from its utterance's start again


@dataclass(frozen=True, eq=False)
class Growing:
    """What an utterance has said so far: words timed from its start, and how many of them stay for sure."""

    frames: int = 0
    words: tuple[Word, ...] = ()
    stable: int = 0


class Partials(Protocol):
    """A way to make partials. `head` names the log-probabilities that it reads. Threads may share it."""

    head: str

    def start(self) -> Growing:
        """An utterance before its first frame."""

    def extend(self, heard: Any, log_probs: Tensor) -> Growing:
        """With more frames: (T', V), T' may be 0."""

    def forget(self, heard: Any) -> None:
        """The utterance has ended: what was kept to go on quickly may go."""


@dataclass(frozen=True, eq=False)
class GreedilyGrowing(Growing):
    """With its tokens; `last_id` is the last frame's: a token that goes on across a border is one token."""

    last_id: int = 0
    tokens: tuple[Token, ...] = ()


class GreedyPartials:
    """The likeliest token of each frame. Only the last word may still grow, so all others are stable."""

    def __init__(self, reader: GreedyReader, *, frame_s: float) -> None:
        self.head, self._pieces, self._frame_s = reader.head, reader.units.tokens, frame_s

    def start(self) -> GreedilyGrowing:
        """An utterance before its first frame."""
        return GreedilyGrowing()

    def extend(self, heard: GreedilyGrowing, log_probs: Tensor) -> GreedilyGrowing:
        """With more frames: (T', V), T' may be 0."""
        if not len(log_probs):
            return heard
        found = decode_greedily(log_probs[None], torch.tensor([len(log_probs)]))[0]
        fresh = [replace(x, start=x.start + heard.frames, end=x.end + heard.frames) for x in found]
        known = list(heard.tokens)
        if fresh and known and heard.last_id == fresh[0].id and fresh[0].start == heard.frames:
            known[-1] = _joined(known[-1], fresh.pop(0))
        tokens, frames = (*known, *fresh), heard.frames + len(log_probs)
        words = words_of(tokens, self._pieces, frame_s=self._frame_s, end_s=frames * self._frame_s)
        return GreedilyGrowing(frames, words, max(0, len(words) - 1), int(log_probs[-1].argmax()), tokens)

    def forget(self, heard: GreedilyGrowing) -> None:
        """Nothing is kept."""


def _joined(token: Token, more: Token) -> Token:
    """One token that goes on across a border."""
    before, after = token.end - token.start, more.end - more.start
    log_prob = (token.log_prob * before + more.log_prob * after) / (before + after)
    return replace(token, end=more.end, log_prob=log_prob)


@dataclass(frozen=True, eq=False)
class SearchedGrowing(Growing):
    """With all its log-probabilities (T', V), and a name for just these."""

    log_probs: Tensor | None = None
    name: bytes = b""


class BeamPartials:
    """The best reading of a beam search; stable is what all readings in the beam share, for all later ones go on them.

    A search is no value: those at work are kept here by the name of what they were fed, and one that is not
    there (evicted, another process, a step that is made again) is fed from the utterance's start. The words are the
    same either way.
    """

    def __init__(self, reader: BeamReader, *, frame_s: float) -> None:
        self._decoder, self._frame_s = reader.search, frame_s
        self.head = reader.search.config.head
        self._searches: OrderedDict[bytes, BeamSearch] = OrderedDict()
        self._lock = threading.Lock()

    def start(self) -> SearchedGrowing:
        """An utterance before its first frame."""
        return SearchedGrowing()

    def extend(self, heard: SearchedGrowing, log_probs: Tensor) -> SearchedGrowing:
        """With more frames: (T', V), T' may be 0."""
        if not len(log_probs):
            return heard
        joined = log_probs.clone() if heard.log_probs is None else torch.cat([heard.log_probs, log_probs])
        name = hashlib.blake2b(heard.name + log_probs.numpy().tobytes(), digest_size=16).digest()
        search = self._taken(heard)
        search.feed(log_probs)
        reading, stable = search.so_far()
        with self._lock:
            self._searches[name] = search
            while len(self._searches) > MOST_SEARCHES:
                self._searches.popitem(last=False)
        words = tuple(Word(x.text, x.start * self._frame_s, x.end * self._frame_s, x.confidence) for x in reading.words)
        return SearchedGrowing(len(joined), words, stable, joined, name)

    def forget(self, heard: SearchedGrowing) -> None:
        """Let its search go."""
        with self._lock:
            self._searches.pop(heard.name, None)

    def _taken(self, heard: SearchedGrowing) -> "BeamSearch":
        """The search that was fed just this, out of those kept: nobody else may feed it."""
        from asr.decoding.beam import BeamSearch

        with self._lock:
            search = self._searches.pop(heard.name, None) if heard.name else None
        if search is None:
            search = BeamSearch(self._decoder, self._decoder.config.partials)
            if heard.log_probs is not None:
                search.feed(heard.log_probs)
        return search
