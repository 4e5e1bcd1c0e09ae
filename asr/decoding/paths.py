"""What a search remembers of its paths: how each came about, and which others it beat where they met; by numba."""

from typing import Any, NamedTuple

import numpy as np
from numba import njit

NONE = -1
Whole = int | np.signedinteger[Any]  # numba takes any width
Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Longs = np.ndarray[tuple[int], np.dtype[np.int64]]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
Flags = np.ndarray[tuple[int], np.dtype[np.bool_]]

NOTHING = np.empty((0, 5), np.int32)  # a path without tokens, as `path_of` gives them


class Trace(NamedTuple):
    """How paths came about: each entry a token, where it began, what was said with it, and the entry before."""

    parent: Ints
    token: Ints
    label: Ints  # NONE inside a word
    start: Ints
    end_before: Ints  # end of the parent's token
    words: Longs  # a hash of all labels so far
    rival: Ints  # the last of the entry's rivals, or NONE


class Rivals(NamedTuple):
    """Paths that were beaten where they met another: with other words to get there, but the same way to go on."""

    entry: Ints  # in the trace, where the beaten path ends
    end: Ints  # of its last token
    frame: Ints  # in which they met,
    in_blank: Flags  # both with a blank; else both with their last token
    behind: Scores  # by how much it was beaten
    before: Ints  # the rival before this one of the same winner, or NONE


class History(NamedTuple):
    """All that a search remembers of its paths, and how much of it is used."""

    trace: Trace
    entries: int
    rivals: Rivals
    beaten: int


def begin_history() -> History:
    """Room for entries."""
    kinds: dict[str, Any] = {"words": np.int64, "behind": np.float64, "in_blank": np.bool_}
    trace: list[Any] = [np.empty(1024, kinds.get(name, np.int32)) for name in Trace._fields]
    rivals: list[Any] = [np.empty(256, kinds.get(name, np.int32)) for name in Rivals._fields]
    return History(Trace(*trace), 0, Rivals(*rivals), 0)


@njit(cache=True, nogil=True)
def words_of(trace: Trace, entry: Whole) -> Whole:
    """The hash of all that was said up to an entry."""
    return trace.words[entry] if entry != NONE else np.int64(0)


@njit(cache=True, nogil=True)
def and_then(words: Whole, label: Whole) -> Whole:
    """The hash of words and one more."""
    return words if label == NONE else (np.int64(words) + label + 1) * np.int64(6364136223846793005)


@njit(cache=True, nogil=True)
def _longer(x: np.ndarray, size: int) -> np.ndarray:
    """The same with more room."""
    fresh = np.empty(size, x.dtype)
    fresh[: len(x)] = x
    return fresh


@njit(cache=True, nogil=True)
def with_room(history: History, entries: int, rivals: int) -> History:
    """With room for so many more of each: then they are written without a look at it."""
    trace, others = history.trace, history.rivals
    if history.entries + entries > len(trace.parent):
        size = 2 * len(trace.parent) + entries
        trace = Trace(
            _longer(trace.parent, size),
            _longer(trace.token, size),
            _longer(trace.label, size),
            _longer(trace.start, size),
            _longer(trace.end_before, size),
            _longer(trace.words, size),
            _longer(trace.rival, size),
        )
    if history.beaten + rivals > len(others.entry):
        size = 2 * len(others.entry) + rivals
        others = Rivals(
            _longer(others.entry, size),
            _longer(others.end, size),
            _longer(others.frame, size),
            _longer(others.in_blank, size),
            _longer(others.behind, size),
            _longer(others.before, size),
        )
    return History(trace, history.entries, others, history.beaten)


@njit(cache=True, nogil=True)
def enter(trace: Trace, at: int, path: tuple[Whole, Whole, Whole], token: Whole, frame: Whole) -> None:
    """A token that began in this frame, after a path (trace, end, label), written into the trace."""
    parent, end, label = path
    trace.parent[at], trace.token[at], trace.label[at] = parent, token, label
    trace.start[at], trace.end_before[at] = frame, end
    trace.words[at], trace.rival[at] = and_then(words_of(trace, parent), label), NONE


@njit(cache=True, nogil=True)
def add_rival(
    rivals: Rivals, at: int, trace: Trace, winner: int, entry: int, end: int, behind: float, frame: int, in_blank: bool
) -> None:
    """A path that was beaten written down."""
    rivals.entry[at], rivals.end[at], rivals.frame[at] = entry, end, frame
    rivals.in_blank[at], rivals.behind[at], rivals.before[at] = in_blank, behind, trace.rival[winner]
    trace.rival[winner] = at


@njit(cache=True, nogil=True)
def labels_of(trace: Trace, entries: np.ndarray) -> np.ndarray:
    """The labels on the way to each entry, first to last: (N, most labels), NONE behind the end of a row."""
    counts = np.zeros(len(entries), np.int32)
    for i in range(len(entries)):
        entry = entries[i]
        while entry != NONE:
            counts[i] += trace.label[entry] != NONE
            entry = trace.parent[entry]
    rows = np.full((len(entries), max(1, counts.max()) if len(entries) else 1), NONE, np.int32)
    for i in range(len(entries)):
        entry, k = entries[i], counts[i]
        while entry != NONE:
            if trace.label[entry] != NONE:
                k -= 1
                rows[i, k] = trace.label[entry]
            entry = trace.parent[entry]
    return rows


@njit(cache=True, nogil=True)
def path_of(trace: Trace, entry: Whole, end: Whole, follows: np.ndarray) -> np.ndarray:
    """(n, 5): token, label or NONE, first frame, frame after the last, entry; up to an entry, then `follows`."""
    count, at = len(follows), entry
    while at != NONE:
        count, at = count + 1, trace.parent[at]
    rows = np.empty((count, 5), np.int32)
    count -= len(follows)
    rows[count:] = follows
    while entry != NONE:
        count -= 1
        rows[count, 0], rows[count, 1], rows[count, 4] = trace.token[entry], trace.label[entry], entry
        rows[count, 2], rows[count, 3] = trace.start[entry], end
        entry, end = trace.parent[entry], trace.end_before[entry]
    return rows
