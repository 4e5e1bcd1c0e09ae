"""The search itself: CTC prefixes (Graves et al. 2006) through a tree of spellings under an n-gram model; by numba.

A hypothesis is where a path stands: the language model's state, the node in the tree, and the last token. It holds two
scores, of its best path that ends in a blank and of its best that ends in that token, so that paths that differ in
blanks alone take no place from others (Hannun et al. 2014); paths that meet are merged, the better one goes on, and
what it beat is remembered where the words before differ: `asr.decoding.nbest` finds the other readings by that. What a
path may still hope for from the language model is added inside a word already (`asr.decoding.lookahead`).

Arrays in, arrays out: the result depends neither on how frames are dealt out nor on anything outside. numba keeps what
it compiled beside this file and compiles again when this file changes, not when `walk`, `asr.decoding.paths` or
`asr.decoding.lookahead` do: then delete __pycache__.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.lookahead import Lookahead, cost_of_forgetting, hope, place_of, places_below, root_of
from asr.decoding.paths import (
    NONE,
    Flags,
    History,
    Ints,
    Longs,
    Scores,
    Trace,
    Whole,
    add_rival,
    and_then,
    enter,
    words_of,
)
from asr.decoding.trie import Trie
from asr.lm.automaton import Automaton, walk

BLANK = 0
MORE = 0.5  # log10 by which a word may be likelier than the word before lets hope, before its score is looked up
Emissions = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Fixed(NamedTuple):
    """What all searches of a decoder share."""

    trie: Trie
    automaton: Automaton
    lookahead: Lookahead
    number_begin: Ints  # (L + 1,) of each label, where its words begin in `numbers`
    numbers: Ints  # the language model's numbers of the labels' words; -1: unknown
    label_score: np.ndarray[tuple[int], np.dtype[np.float32]]  # (L,) what saying the label is worth by itself
    credit: Scores  # (N,) of each node: what a path there has been given for what it has not said yet
    lm_weight: float
    beam_size: int
    threshold: float


class Beam(NamedTuple):
    """Hypotheses, (N,) each. An end is the frame after the last one of the path's last token."""

    state: Ints
    node: Ints
    place: Ints  # in the lookahead: the node after the last word; NONE where the bigrams lead to no word below it
    token: Ints
    blank: Scores  # of the path that ends in a blank; -inf: none
    sound: Scores  # of the path that ends in the token
    blank_trace: Ints
    sound_trace: Ints
    blank_end: Ints
    sound_end: Ints


def begin_beam(fixed: Fixed, state: int) -> Beam:
    """One hypothesis that has said nothing."""
    place = np.array([root_of(fixed.lookahead, fixed.automaton, state)], np.int32)
    one, none = np.zeros(1, np.int32), np.full(1, NONE, np.int32)
    score = np.zeros(1, np.float64)
    return Beam(
        one + np.int32(state), one, place, one, score, score - np.inf, none, none.copy(), one.copy(), one.copy()
    )


class _Candidates(NamedTuple):
    """What the beam may hold next. `fresh`: the token begins in this frame, and `trace` and `end` are its parent's.

    `lost_…`: what was beaten in a place, by a path with other words: there in its blank or its sound.
    """

    state: Ints
    node: Ints
    place: Ints
    token: Ints
    blank: Scores
    sound: Scores
    blank_trace: Ints
    trace: Ints
    blank_end: Ints
    end: Ints
    label: Ints
    fresh: Flags
    words: Longs  # of the path in `sound`
    table: Ints  # hash table of places, NONE where empty
    lost: Ints  # (1,): how many
    lost_place: Ints
    lost_blank: Flags
    lost_score: Scores
    lost_trace: Ints  # these four as in the candidates
    lost_end: Ints
    lost_label: Ints
    lost_fresh: Flags


@njit(cache=True, nogil=True)
def _room(fixed: Fixed, beam: Beam, emission: np.ndarray, floor: float) -> int:
    """How many candidates there can be at most."""
    trie, count = fixed.trie, len(beam.node)
    for i in range(len(beam.node)):
        for child in range(trie.nodes[beam.node[i]]["begin"], trie.nodes[beam.node[i] + 1]["begin"]):
            if emission[trie.nodes[child]["token"]] >= floor:
                count += 1 + trie.nodes[child + 1]["label_begin"] - trie.nodes[child]["label_begin"]
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
        np.empty(room, np.int32),
        np.empty(room, np.float64),
        np.empty(room, np.float64),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.int32),
        np.empty(room, np.bool_),
        np.empty(room, np.int64),
        np.full(size, NONE, np.int32),
        np.zeros(1, np.int32),
        np.empty(2 * room, np.int32),
        np.empty(2 * room, np.bool_),
        np.empty(2 * room, np.float64),
        np.empty(2 * room, np.int32),
        np.empty(2 * room, np.int32),
        np.empty(2 * room, np.int32),
        np.empty(2 * room, np.bool_),
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
    found.blank_trace[count] = NONE
    return count


@njit(cache=True, nogil=True)
def _lose(found: _Candidates, place: int, in_blank: bool, score: float, path: tuple[Whole, Whole, Whole, bool]) -> None:
    """Remember a path (trace, end, label, fresh) that was beaten."""
    k = found.lost[0]
    found.lost_place[k], found.lost_blank[k], found.lost_score[k] = place, in_blank, score
    found.lost_trace[k], found.lost_end[k], found.lost_label[k], found.lost_fresh[k] = path
    found.lost[0] += 1


@njit(cache=True, nogil=True)
def _stay(
    fixed: Fixed, beam: Beam, trace: Trace, found: _Candidates, emission: np.ndarray, frame: int
) -> tuple[float, float]:
    """Each hypothesis with a blank, or its token once more: the best score of all, and one below which none is kept.

    The best is one without credit, here as in `_go_on`: what may come to nothing must not leave all others behind.
    """
    best, worst = -np.inf, np.inf
    for i in range(len(beam.state)):
        _place(found, i, beam.state[i], beam.node[i], beam.token[i])
        found.place[i] = beam.place[i]
        sounds = beam.sound[i] > beam.blank[i]
        found.blank[i] = max(beam.blank[i], beam.sound[i]) + emission[BLANK]
        found.blank_trace[i] = beam.sound_trace[i] if sounds else beam.blank_trace[i]
        found.blank_end[i] = beam.sound_end[i] if sounds else beam.blank_end[i]
        found.sound[i] = beam.sound[i] + emission[beam.token[i]]
        found.trace[i], found.end[i], found.fresh[i] = beam.sound_trace[i], frame + 1, False
        found.label[i], found.words[i] = NONE, words_of(trace, beam.sound_trace[i])
        lower = min(beam.blank[i], beam.sound[i])
        if lower > -np.inf and found.words[i] != words_of(trace, beam.blank_trace[i]):
            entry = beam.blank_trace[i] if sounds else beam.sound_trace[i]
            end = beam.blank_end[i] if sounds else beam.sound_end[i]
            _lose(found, i, True, lower + emission[BLANK], (entry, end, NONE, False))
        score = max(found.blank[i], found.sound[i])
        worst = min(worst, score)
        if score > best:
            best = max(best, score - fixed.credit[beam.node[i]])
    return best, worst if len(beam.state) >= fixed.beam_size else -np.inf


@njit(cache=True, nogil=True)
def _offer(
    found: _Candidates,
    count: int,
    key: tuple[int, int, int],
    place: int,
    score: float,
    path: tuple[Whole, Whole, Whole],
    words: Whole,
) -> int:
    """A token that begins in this frame, on a path (trace, end, label); how many candidates there are now."""
    i = _place(found, count, key[0], key[1], key[2])
    found.place[i] = place
    trace, end, label = path
    if found.sound[i] > -np.inf and found.words[i] != words:
        if score > found.sound[i]:
            beaten = (found.trace[i], found.end[i], found.label[i], found.fresh[i])
            _lose(found, i, False, found.sound[i], beaten)
        else:
            _lose(found, i, False, score, (trace, end, label, True))
    if score > found.sound[i]:
        found.sound[i], found.trace[i], found.end[i] = score, trace, end
        found.label[i], found.fresh[i], found.words[i] = label, True, words
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
    fixed: Fixed,
    beam: Beam,
    trace: Trace,
    found: _Candidates,
    emission: np.ndarray,
    floor: float,
    best: float,
    worst: float,
) -> tuple[int, float]:
    """Each hypothesis with every token that may follow, inside its word or at the end of one: count, best score."""
    tree, count, weight = fixed.trie, len(beam.state), fixed.lm_weight
    for i in range(len(beam.state)):
        node, state = beam.node[i], beam.state[i]
        sounds = beam.sound[i] > beam.blank[i]
        forgotten = cost_of_forgetting(fixed.automaton, state)
        hoped = hope(fixed.lookahead, beam.place[i], forgotten + tree.nodes[node]["best"]) if node else 0.0
        place, last = places_below(fixed.lookahead, beam.place[i])
        both = min(beam.blank[i], beam.sound[i]) > -np.inf
        both = both and words_of(trace, beam.blank_trace[i]) != words_of(trace, beam.sound_trace[i])
        for child in range(tree.nodes[node]["begin"], tree.nodes[node + 1]["begin"]):
            token = tree.nodes[child]["token"]
            if emission[token] < floor:
                continue
            place, below = place_of(fixed.lookahead, place, last, child)
            hopes = hope(fixed.lookahead, below, forgotten + tree.nodes[child]["best"])
            again = token == beam.token[i]  # the same token again needs a blank between
            for second in range(2 if both and not again else 1):
                sounded = (sounds and not again) != (second == 1)
                before = (beam.sound[i] if sounded else beam.blank[i]) + emission[token] - weight * hoped
                entry = beam.sound_trace[i] if sounded else beam.blank_trace[i]
                end = beam.sound_end[i] if sounded else beam.blank_end[i]
                words = words_of(trace, entry)
                score = before + weight * hopes
                inside = tree.nodes[child]["begin"] < tree.nodes[child + 1]["begin"]
                if inside and score >= max(worst, best - fixed.threshold):
                    path = (entry, end, np.int32(NONE))
                    count = _offer(found, count, (state, child, token), below, score, path, words)
                    if score > best:
                        best = max(best, score - fixed.credit[child])
                for k in range(tree.nodes[child]["label_begin"], tree.nodes[child + 1]["label_begin"]):
                    label = tree.label[k]
                    score = before + fixed.label_score[label]
                    if score + weight * (hopes + MORE) < max(worst, best - fixed.threshold):
                        continue
                    after, said = _say(fixed, state, label)
                    score += weight * said
                    if score >= max(worst, best - fixed.threshold):
                        path = (entry, end, label)
                        key, said_then = (after, 0, token), and_then(words, label)
                        count = _offer(
                            found, count, key, root_of(fixed.lookahead, fixed.automaton, after), score, path, said_then
                        )
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
def _written(
    found: _Candidates, kept: np.ndarray, history: History, frame: int, most_behind: float
) -> tuple[Beam, History]:
    """The new beam; what its fresh tokens came from is written into the trace, and then whom they beat."""
    beam = Beam(
        found.state[kept],
        found.node[kept],
        found.place[kept],
        found.token[kept],
        found.blank[kept],
        found.sound[kept],
        found.blank_trace[kept],
        found.trace[kept],
        found.blank_end[kept],
        found.end[kept],
    )
    for j in range(len(kept)):
        i = kept[j]
        if found.sound[i] > -np.inf and found.fresh[i]:
            beam.sound_trace[j], beam.sound_end[j] = history.entries, frame + 1
            history = enter(history, (found.trace[i], found.end[i], found.label[i]), found.token[i], frame)
    for k in range(found.lost[0]):
        i = found.lost_place[k]
        j = np.searchsorted(kept, i)
        if j == len(kept) or kept[j] != i:
            continue
        winner = beam.blank_trace[j] if found.lost_blank[k] else beam.sound_trace[j]
        behind = (found.blank[i] if found.lost_blank[k] else found.sound[i]) - found.lost_score[k]
        entry, end, label = found.lost_trace[k], found.lost_end[k], found.lost_label[k]
        words = and_then(words_of(history.trace, entry), label if found.lost_fresh[k] else NONE)
        if winner == NONE or behind > most_behind or words == words_of(history.trace, winner):
            continue
        if found.lost_fresh[k]:
            history = enter(history, (entry, end, label), found.token[i], frame)
            entry, end = history.entries - 1, frame + 1
        if entry != NONE:
            history = add_rival(history, winner, entry, end, behind, frame, found.lost_blank[k])
    return beam, history


@njit(cache=True, nogil=True)
def advance(
    fixed: Fixed, beam: Beam, history: History, emissions: np.ndarray, floors: np.ndarray, frame: int
) -> tuple[Beam, History]:
    """More frames, (T, V), the first of which has the number `frame` -> beam, history.

    `floors` (T,): a token below it is not tried in its frame. The given beam is not written, the history goes on.
    """
    for t in range(len(emissions)):
        emission = emissions[t]
        found = _allocate(_room(fixed, beam, emission, floors[t]))
        best, worst = _stay(fixed, beam, history.trace, found, emission, frame + t)
        count, best = _go_on(fixed, beam, history.trace, found, emission, floors[t], best, worst)
        kept = _survivors(fixed, found, count, best)
        beam, history = _written(found, kept, history, frame + t, fixed.threshold)
    return beam, history


@njit(cache=True, nogil=True)
def scores_after(automaton: Automaton, states: np.ndarray, word: int) -> np.ndarray:
    """log10 p of a word after each state: (N,) -> (N,)."""
    found = np.empty(len(states), np.float64)
    for i in range(len(states)):
        found[i] = walk(automaton, states[i], word)[1]
    return found


@njit(cache=True, nogil=True)
def hopes_beyond(fixed: Fixed, beam: Beam) -> np.ndarray:
    """What each path inside a word hopes for beyond the likeliest word there by itself: (N,), weighed."""
    found = np.zeros(len(beam.node), np.float64)
    for i in range(len(beam.node)):
        if beam.node[i]:
            alone = fixed.trie.nodes[beam.node[i]]["best"]
            forgotten = cost_of_forgetting(fixed.automaton, beam.state[i])
            found[i] = fixed.lm_weight * (hope(fixed.lookahead, beam.place[i], forgotten + alone) - alone)
    return found
