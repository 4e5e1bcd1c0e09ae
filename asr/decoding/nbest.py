"""The best readings of a search, out of its paths and what they beat on the way: a lattice, read in order of score.

A path may go another way up to any of its entries that beat a rival there, and what follows stays: its score falls by
as much as the rival was behind. So the best readings come one after the other from a heap (Jiménez and Marzal 1999).
"""

import heapq

import numpy as np
from numba import njit

from asr.decoding.paths import NONE, History, Ints, Scores, path_of

_TRIES = 20  # paths looked at for each reading wanted: many say the same words


@njit(cache=True, nogil=True)
def _known(rows: np.ndarray, others: list[np.ndarray]) -> bool:
    """Whether one of the others has the same labels."""
    labels = rows[:, 1][rows[:, 1] != NONE]
    for other in others:
        theirs = other[:, 1][other[:, 1] != NONE]
        if len(theirs) == len(labels) and (theirs == labels).all():
            return True
    return False


@njit(cache=True, nogil=True)
def _met(history: History, rival: int, rows: np.ndarray, i: int) -> bool:
    """Whether this path, in the frame in which its entry i met a rival, was where it met it."""
    frame, end = history.rivals.frame[rival], rows[i, 3]
    if history.rivals.in_blank[rival]:
        return bool(end <= frame and (i + 1 == len(rows) or frame < rows[i + 1, 2]))
    return bool(end > frame)


@njit(cache=True, nogil=True)
def best_paths(
    history: History, entries: Ints, ends: Ints, scores: Scores, most: int, most_behind: float
) -> tuple[list[np.ndarray], list[float]]:
    """At most `most` paths with different labels, the best first, no further behind the best than that.

    From where the surviving hypotheses end, with their scores: (N,) each. -> rows as `path_of` gives them, scores.
    """
    best = scores.max()
    heap = [(best - scores[i], i) for i in range(len(entries))]
    heapq.heapify(heap)
    entry, end = list(entries), list(ends)  # of each item on the heap: where the part that it changes ends,
    came_from, kept_from = [NONE] * len(entries), [0] * len(entries)  # whose path follows, and from which row on
    looked_at = [np.empty((0, 5), np.int32) for _ in range(0)]
    found, totals = [np.empty((0, 5), np.int32) for _ in range(0)], [0.0 for _ in range(0)]
    nothing = np.empty((0, 5), np.int32)
    while len(heap) and len(found) < most and len(looked_at) < _TRIES * most:
        behind, item = heapq.heappop(heap)
        follows = nothing if came_from[item] == NONE else looked_at[came_from[item]][kept_from[item] :]
        rows = path_of(history.trace, entry[item], end[item], follows)
        if not _known(rows, found):
            found.append(rows)
            totals.append(best - behind)
        for i in range(len(rows) - len(follows)):
            k = history.trace.rival[rows[i, 4]]
            while k != NONE:
                further = behind + history.rivals.behind[k]
                if further <= most_behind and _met(history, k, rows, i):
                    heapq.heappush(heap, (further, len(entry)))
                    entry.append(history.rivals.entry[k])
                    end.append(history.rivals.end[k])
                    came_from.append(len(looked_at))
                    kept_from.append(i + 1)
                k = history.rivals.before[k]
        looked_at.append(rows)
    return found, totals
