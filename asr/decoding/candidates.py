"""What a search may hold after a frame: places of a state, a node and a token, and who was beaten there; by numba.

What belongs to one stands together, for few arrays are handed from function to function: handing over costs.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.paths import NONE, Ints, Whole
from asr.decoding.trie import Records

# What the beam may hold next. `fresh`: the token begins in this frame, and `trace` and `end` are its parent's.
_CANDIDATE = np.dtype(
    [
        ("state", np.int32),
        ("node", np.int32),
        ("place", np.int32),
        ("token", np.int32),
        ("blank", np.float64),
        ("sound", np.float64),
        ("words", np.int64),  # of the path in `sound`
        ("blank_trace", np.int32),
        ("trace", np.int32),
        ("blank_end", np.int32),
        ("end", np.int32),
        ("label", np.int32),
        ("fresh", np.bool_),
    ],
    align=True,
)
# What was beaten in a candidate's place, by a path with other words: there in its blank or its sound.
_BEATEN = np.dtype(
    [
        ("score", np.float64),
        ("place", np.int32),
        ("trace", np.int32),  # these four as in the candidates
        ("end", np.int32),
        ("label", np.int32),
        ("fresh", np.bool_),
        ("in_blank", np.bool_),
    ],
    align=True,
)


class Candidates(NamedTuple):
    """Of one frame."""

    rows: Records  # of _CANDIDATE
    table: Ints  # hash table of places, NONE where empty
    beaten: Records  # of _BEATEN
    lost: Ints  # (1,): how many of them


@njit(cache=True, nogil=True)
def allocate(room: int) -> Candidates:
    """Room for so many, and nothing there yet."""
    size = 16
    while size < 2 * room:
        size *= 2
    return Candidates(
        np.empty(room, _CANDIDATE), np.full(size, NONE, np.int32), np.empty(2 * room, _BEATEN), np.zeros(1, np.int32)
    )


@njit(cache=True, nogil=True)
def place_for(found: Candidates, count: int, state: int, node: int, token: int) -> int:
    """The place of a key: an old one below `count`, or `count` itself, made for it."""
    rows, mask = found.rows, len(found.table) - 1
    key = (np.int64(state) * 1_000_003 + node) * 1_000_003 + token
    slot = (key ^ (key >> 21)) & mask
    while found.table[slot] != NONE:
        i = int(found.table[slot])
        if rows[i]["state"] == state and rows[i]["node"] == node and rows[i]["token"] == token:
            return i
        slot = (slot + 1) & mask
    found.table[slot] = count
    rows[count]["state"], rows[count]["node"], rows[count]["token"] = state, node, token
    rows[count]["blank"] = rows[count]["sound"] = -np.inf
    rows[count]["blank_trace"] = NONE
    return count


@njit(cache=True, nogil=True)
def lose(found: Candidates, place: int, in_blank: bool, score: float, path: tuple[Whole, Whole, Whole, bool]) -> None:
    """Remember a path (trace, end, label, fresh) that was beaten."""
    row = found.beaten[found.lost[0]]
    row["place"], row["in_blank"], row["score"] = place, in_blank, score
    row["trace"], row["end"], row["label"], row["fresh"] = path
    found.lost[0] += 1


@njit(cache=True, nogil=True)
def offer(
    found: Candidates,
    count: int,
    key: tuple[int, int, int],
    place: int,
    score: float,
    path: tuple[Whole, Whole, Whole],
    words: Whole,
) -> int:
    """A token that begins in this frame, on a path (trace, end, label); how many candidates there are now."""
    i = place_for(found, count, key[0], key[1], key[2])
    row = found.rows[i]
    row["place"] = place
    trace, end, label = path
    if row["sound"] > -np.inf and row["words"] != words:
        if score > row["sound"]:
            lose(found, i, False, row["sound"], (row["trace"], row["end"], row["label"], row["fresh"]))
        else:
            lose(found, i, False, score, (trace, end, label, True))
    if score > row["sound"]:
        row["sound"], row["trace"], row["end"] = score, trace, end
        row["label"], row["fresh"], row["words"] = label, True, words
    return max(count, i + 1)
