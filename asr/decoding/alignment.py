"""CTC forced alignment: the likeliest frames of tokens that are known (Viterbi over Graves et al. 2006, section 4.1).

Exact also for hours. A row of scores is kept every √T frames, and the way back computes the back-pointers of one block
of √T frames at a time, and of those states alone that it can still reach: O(S √T + √T · √T) memory beside the
log-probabilities instead of O(S T). No band around a diagonal, which a long pause or missing text would leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

from asr.decoding.words import Word
from asr.errors import AlignmentError
from asr.model.units import frames_needed

Floats = np.ndarray[Any, np.dtype[Any]]
States = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(frozen=True)
class AlignedToken:
    """A token on frames [start, end), and its mean posterior over them."""

    id: int
    start: int
    end: int
    posterior: float


@dataclass(frozen=True)
class _Lattice:
    """Blank, token, blank, token, …, blank: `labels` (S,); `skips` (S,): 0 where a state may follow the one but one
    before it, else -inf.
    """

    labels: States
    skips: Floats

    @classmethod
    def of(cls, tokens: Sequence[int]) -> "_Lattice":
        labels = np.zeros(2 * len(tokens) + 1, np.intp)
        labels[1::2] = tokens
        skips = np.full(len(labels), -np.inf)
        skips[3::2][labels[3::2] != labels[1:-2:2]] = 0.0
        return cls(labels, skips)

    def moves(self, row: Floats, low: int) -> Floats:
        """(N,) scores of the states from `low` on -> (3, N): staying, from the one before, from the one before that."""
        found = np.full((3, len(row)), -np.inf)
        found[0] = row
        found[1, 1:] = row[:-1]
        found[2, 2:] = row[:-2] + self.skips[low + 2 : low + len(row)]
        return found


def align(log_probs: Floats, tokens: Sequence[int]) -> list[AlignedToken]:
    """(T', V) log-probabilities, blank 0, and the tokens to place -> each with its frames.

    Raises AlignmentError where no path exists, as in fewer frames than tokens.
    """
    if not tokens:
        return []
    states = align_states(log_probs, tokens)
    frames = np.flatnonzero(states % 2)
    borders = np.searchsorted(states[frames], np.arange(1, 2 * len(tokens) + 2, 2))
    posteriors = np.exp(log_probs[frames, np.asarray(tokens)[states[frames] // 2]].astype(np.float64))
    return [
        AlignedToken(token, int(frames[a]), int(frames[b - 1]) + 1, float(posteriors[a:b].mean()))
        for token, a, b in zip(tokens, borders[:-1], borders[1:], strict=True)
    ]


def align_states(log_probs: Floats, tokens: Sequence[int]) -> States:
    """The best path: (T',) states, 2 i + 1 for token i, even ones for blanks. Raises AlignmentError."""
    needed = frames_needed(tokens)
    if len(log_probs) < max(1, needed):
        raise AlignmentError(
            "text", f"needs {needed} frames of speech or more, got {len(log_probs)}: is it this one's?"
        )
    lattice, block = _Lattice.of(tokens), isqrt(len(log_probs)) + 1
    rows, last = _forward(lattice, log_probs, block)
    state = len(last) - 1 - int(last[-1] < last[-2])
    if not np.isfinite(last[state]):
        raise AlignmentError("text", "no path through the recording has a probability above zero")
    path = np.empty(len(log_probs), np.intp)
    for number in reversed(range(len(rows))):
        first = number * block
        state = _back(lattice, log_probs[first : first + block], rows[number], state, path[first : first + block])
    return path


def _forward(lattice: _Lattice, log_probs: Floats, block: int) -> tuple[list[Floats], Floats]:
    """The row before every block's first frame, and the row after the last frame."""
    row = np.full(len(lattice.labels), -np.inf)
    row[0] = 0.0  # before the first frame: the first frame's blank stays there, its token comes from there
    rows = []
    for t, frame in enumerate(log_probs):
        if t % block == 0:
            rows.append(row)
        high = min(len(row), 2 * t + 2)  # states that so many frames can reach
        following = np.full(len(row), -np.inf)
        following[:high] = lattice.moves(row[:high], 0).max(axis=0) + frame[lattice.labels[:high]]
        row = following
    return rows, row


def _back(lattice: _Lattice, log_probs: Floats, row: Floats, state: int, path: States) -> int:
    """Fill the block's part of the path that ends in `state`; the state before the block's first frame."""
    low = max(0, state - 2 * len(log_probs))
    labels, row = lattice.labels[low : state + 1], row[low : state + 1]
    pointers = np.empty((len(log_probs), len(row)), np.uint8)
    for t, frame in enumerate(log_probs):
        moves = lattice.moves(row, low)
        pointers[t] = moves.argmax(axis=0)
        row = moves.max(axis=0) + frame[labels]
    for t in reversed(range(len(log_probs))):
        path[t] = state
        state -= int(pointers[t, state - low])
    return state


def aligned_words(
    words: Sequence[str],
    scores: Sequence[float],
    tokens: Sequence[Sequence[AlignedToken]],
    times: Floats,
    frame_s: float,
) -> tuple[Word, ...]:
    """Words, their scores, their tokens and (T',) each frame's start in seconds -> timed words.

    CTC lights a token up for a frame or two inside its sound. So a word starts a frame before its first one, and ends
    0.2 s after its last, or where these would overlap: in the middle between the two.
    """
    starts = [float(times[group[0].start]) for group in tokens]
    ends = [float(times[group[-1].end - 1]) + frame_s for group in tokens]
    gaps = [starts[0], *(max(0.0, b - a) for a, b in zip(ends[:-1], starts[1:], strict=True)), 0.0] if starts else []
    return tuple(
        Word(text, start - min(frame_s, before / 2), end + min(0.2, after / 2), score)
        for text, score, start, end, before, after in zip(words, scores, starts, ends, gaps[:-1], gaps[1:], strict=True)
    )
