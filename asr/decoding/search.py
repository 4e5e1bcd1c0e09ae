"""The search itself: CTC prefixes (Graves et al. 2006) through a tree of spellings under an n-gram model; by numba.

A hypothesis is where a path stands: the language model's state, the node in the tree, and the last token. It holds two
scores, of its best path that ends in a blank and of its best that ends in that token, so that paths that differ in
blanks alone take no place from others (Hannun et al. 2014); paths that meet are merged, the better one goes on. What a
path may still hope for from the language model is added inside a word already (Ortmanns et al. 1996).

Arrays in, arrays out: the result depends neither on how frames are dealt out nor on anything outside. numba keeps what
it compiled beside this file and compiles again when this file changes, not when `walk` does: then delete __pycache__.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.trie import Trie
from asr.lm.automaton import Automaton, walk

BLANK = 0
NONE = -1
Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Scores = np.ndarray[tuple[int], np.dtype[np.float64]]
Emissions = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Fixed(NamedTuple):
    """What all searches of a decoder share."""

    trie: Trie
    automaton: Automaton
    number_begin: Ints  # (L + 1,) of each label, where its words begin in `numbers`
    numbers: Ints  # the language model's numbers of the labels' words; -1: unknown
    label_score: np.ndarray[tuple[int], np.dtype[np.float32]]  # (L,) what saying the label is worth by itself
    lm_weight: float
    beam_size: int
    threshold: float


class Beam(NamedTuple):
    """Hypotheses, (N,) each. An end is the frame after the last one of the path's last token."""

    state: Ints
    node: Ints
    token: Ints
    blank: Scores  # of the path that ends in a blank; -inf: none
    sound: Scores  # of the path that ends in the token
    blank_trace: Ints
    sound_trace: Ints
    blank_end: Ints
    sound_end: Ints


class Trace(NamedTuple):
    """How paths came about: each entry a token, where it began, what was said with it, and the entry before."""

    parent: Ints
    token: Ints
    label: Ints  # NONE inside a word
    start: Ints
    end_before: Ints  # end of the parent's token


def begin_beam(state: int) -> Beam:
    """One hypothesis that has said nothing."""
    one, none = np.zeros(1, np.int32), np.full(1, NONE, np.int32)
    score = np.zeros(1, np.float64)
    return Beam(one + np.int32(state), one, one, score, score - np.inf, none, none.copy(), one.copy(), one.copy())


def begin_trace() -> Trace:
    """Room for entries."""
    return Trace(*(np.empty(1024, np.int32) for _ in Trace._fields))


class _Candidates(NamedTuple):
    """What the beam may hold next. `fresh`: the token begins in this frame, and `trace` and `end` are its parent's."""

    state: Ints
    node: Ints
    token: Ints
    blank: Scores
    sound: Scores
    blank_trace: Ints
    trace: Ints
    blank_end: Ints
    end: Ints
    label: Ints
    fresh: np.ndarray[tuple[int], np.dtype[np.bool_]]
    table: Ints  # hash table of places, NONE where empty


@njit(cache=True, nogil=True)
def _room(fixed: Fixed, beam: Beam, emission: np.ndarray, floor: float) -> int:
    """How many candidates there can be at most."""
    trie, count = fixed.trie, len(beam.node)
    for i in range(len(beam.node)):
        for child in range(trie.begin[beam.node[i]], trie.begin[beam.node[i] + 1]):
            if emission[trie.token[child]] >= floor:
                count += 1 + trie.label_begin[child + 1] - trie.label_begin[child]
    return count


@njit(cache=True, nogil=True)
def _allocate(room: int) -> _Candidates:
    size = 16
    while size < 2 * room:
        size *= 2
    return _Candidates(
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.float64),
        np.empty(room, np.float64),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.bool_),
        np.full(size, NONE, np.int32),
    )


@njit(cache=True, nogil=True)
def _place(found: _Candidates, count: int, state: int, node: int, token: int) -> int:
    """The place of a key: an old one below `count`, or `count` itself, made for it."""
    mask = len(found.table) - 1
    key = (np.int64(state) * 1_000_003 + node) * 1_000_003 + token
    slot = (key ^ (key >> 21)) & mask
    while found.table[slot] != NONE:
        i = int(found.table[slot])
        if found.state[i] == state and found.node[i] == node and found.token[i] == token:
            return i
        slot = (slot + 1) & mask
    found.table[slot] = count
    found.state[count], found.node[count], found.token[count] = state, node, token
    found.blank[count] = found.sound[count] = -np.inf
    return count


@njit(cache=True, nogil=True)
def _stay(beam: Beam, found: _Candidates, emission: np.ndarray, frame: int, most: int) -> tuple[float, float]:
    """Each hypothesis with a blank, or its token once more: the best score of all, and one below which none is kept."""
    best, worst = -np.inf, np.inf
    for i in range(len(beam.state)):
        _place(found, i, beam.state[i], beam.node[i], beam.token[i])
        sounds = beam.sound[i] > beam.blank[i]
        found.blank[i] = max(beam.blank[i], beam.sound[i]) + emission[BLANK]
        found.blank_trace[i] = beam.sound_trace[i] if sounds else beam.blank_trace[i]
        found.blank_end[i] = beam.sound_end[i] if sounds else beam.blank_end[i]
        found.sound[i] = beam.sound[i] + emission[beam.token[i]]
        found.trace[i], found.end[i], found.fresh[i] = beam.sound_trace[i], frame + 1, False
        score = max(found.blank[i], found.sound[i])
        best, worst = max(best, score), min(worst, score)
    return best, worst if len(beam.state) >= most else -np.inf


@njit(cache=True, nogil=True)
def _offer(
    found: _Candidates, count: int, key: tuple[int, int, int], score: float, trace: int, end: int, label: int
) -> int:
    """A token that begins in this frame; how many candidates there are now."""
    i = _place(found, count, key[0], key[1], key[2])
    if score > found.sound[i]:
        found.sound[i], found.trace[i], found.end[i] = score, trace, end
        found.label[i], found.fresh[i] = label, True
    return max(count, i + 1)


@njit(cache=True, nogil=True)
def _say(fixed: Fixed, state: int, label: int) -> tuple[int, float]:
    """The state after a label's words, and log10 of their probability."""
    total = 0.0
    for k in range(fixed.number_begin[label], fixed.number_begin[label + 1]):
        state, score = walk(fixed.automaton, state, fixed.numbers[k])
        total += score
    return state, total


@njit(cache=True, nogil=True)
def _go_on(
    fixed: Fixed, beam: Beam, found: _Candidates, emission: np.ndarray, floor: float, best: float, worst: float
) -> tuple[int, float]:
    """Each hypothesis with every token that may follow, inside its word or at the end of one: count, best score."""
    trie, count, weight = fixed.trie, len(beam.state), fixed.lm_weight
    for i in range(len(beam.state)):
        node, state = beam.node[i], beam.state[i]
        sounds = beam.sound[i] > beam.blank[i]
        hoped = weight * trie.best[node] if node else 0.0
        for child in range(trie.begin[node], trie.begin[node + 1]):
            token = trie.token[child]
            if emission[token] < floor:
                continue
            sounded = sounds and token != beam.token[i]  # the same token again needs a blank between
            before = (beam.sound[i] if sounded else beam.blank[i]) + emission[token] - hoped
            trace = beam.sound_trace[i] if sounded else beam.blank_trace[i]
            end = beam.sound_end[i] if sounded else beam.blank_end[i]
            score = before + weight * trie.best[child]
            if trie.begin[child] < trie.begin[child + 1] and score >= max(worst, best - fixed.threshold):
                count = _offer(found, count, (state, child, token), score, trace, end, NONE)
                best = max(best, score)
            for k in range(trie.label_begin[child], trie.label_begin[child + 1]):
                label = trie.label[k]
                score = before + fixed.label_score[label]
                if score < max(worst, best - fixed.threshold):  # no language model could save it
                    continue
                after, said = _say(fixed, state, label)
                score += weight * said
                if score >= max(worst, best - fixed.threshold):
                    count = _offer(found, count, (after, 0, token), score, trace, end, label)
                    best = max(best, score)
    return count, best


@njit(cache=True, nogil=True)
def _survivors(fixed: Fixed, found: _Candidates, count: int, best: float) -> np.ndarray:
    """The places of the best, at most `beam_size`, in the order in which they came; of equals the first."""
    scores = np.maximum(found.blank[:count], found.sound[:count])
    least = best - fixed.threshold
    if count > fixed.beam_size:
        least = max(least, np.partition(scores, count - fixed.beam_size)[count - fixed.beam_size])
    above = int(np.sum(scores > least))
    left = min(fixed.beam_size, int(np.sum(scores >= least))) - above  # of those that just reach it
    kept = np.empty(fixed.beam_size, np.int32)
    size = 0
    for i in range(count):
        if scores[i] > least or (scores[i] == least and left > 0):
            left -= int(scores[i] == least)
            kept[size] = i
            size += 1
    return kept[:size]


@njit(cache=True, nogil=True)
def _grown(trace: Trace, used: int) -> Trace:
    """The same with twice the room."""
    fresh = Trace(
        np.empty(2 * len(trace.parent), np.int32),
        np.empty(2 * len(trace.parent), np.int32),
        np.empty(2 * len(trace.parent), np.int32),
        np.empty(2 * len(trace.parent), np.int32),
        np.empty(2 * len(trace.parent), np.int32),
    )
    fresh.parent[:used], fresh.token[:used], fresh.label[:used] = (
        trace.parent[:used],
        trace.token[:used],
        trace.label[:used],
    )
    fresh.start[:used], fresh.end_before[:used] = trace.start[:used], trace.end_before[:used]
    return fresh


@njit(cache=True, nogil=True)
def _written(found: _Candidates, kept: np.ndarray, trace: Trace, used: int, frame: int) -> tuple[Beam, Trace, int]:
    """The new beam; what its fresh tokens came from is written into the trace."""
    beam = Beam(
        found.state[kept],
        found.node[kept],
        found.token[kept],
        found.blank[kept],
        found.sound[kept],
        found.blank_trace[kept],
        found.trace[kept],
        found.blank_end[kept],
        found.end[kept],
    )
    while used + len(kept) > len(trace.parent):
        trace = _grown(trace, used)
    for j in range(len(kept)):
        i = kept[j]
        if found.sound[i] > -np.inf and found.fresh[i]:
            trace.parent[used], trace.token[used] = found.trace[i], found.token[i]
            trace.label[used], trace.start[used], trace.end_before[used] = found.label[i], frame, found.end[i]
            beam.sound_trace[j], beam.sound_end[j] = used, frame + 1
            used += 1
    return beam, trace, used


@njit(cache=True, nogil=True)
def advance(
    fixed: Fixed, beam: Beam, trace: Trace, used: int, emissions: np.ndarray, floors: np.ndarray, frame: int
) -> tuple[Beam, Trace, int]:
    """More frames, (T, V), the first of which has the number `frame` -> beam, trace, how much of it is used.

    `floors` (T,): a token below it is not tried in its frame. The given beam is not written, the trace only goes on.
    """
    for t in range(len(emissions)):
        emission = emissions[t]
        found = _allocate(_room(fixed, beam, emission, floors[t]))
        best, worst = _stay(beam, found, emission, frame + t, fixed.beam_size)
        count, best = _go_on(fixed, beam, found, emission, floors[t], best, worst)
        kept = _survivors(fixed, found, count, best)
        beam, trace, used = _written(found, kept, trace, used, frame + t)
    return beam, trace, used


@njit(cache=True, nogil=True)
def scores_after(automaton: Automaton, states: np.ndarray, word: int) -> np.ndarray:
    """log10 p of a word after each state: (N,) -> (N,)."""
    found = np.empty(len(states), np.float64)
    for i in range(len(states)):
        found[i] = walk(automaton, states[i], word)[1]
    return found


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
def path_of(trace: Trace, entry: int, end: int) -> np.ndarray:
    """The tokens on the way to an entry: (n, 4): token, label or NONE, first frame, frame after the last."""
    count, at = 0, entry
    while at != NONE:
        count, at = count + 1, trace.parent[at]
    rows = np.empty((count, 4), np.int32)
    while entry != NONE:
        count -= 1
        rows[count, 0], rows[count, 1] = trace.token[entry], trace.label[entry]
        rows[count, 2], rows[count, 3] = trace.start[entry], end
        entry, end = trace.parent[entry], trace.end_before[entry]
    return rows
