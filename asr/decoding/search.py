"""The search itself: CTC prefixes (Graves et al. 2006) through a tree of spellings under an n-gram model; by numba.

A hypothesis is where a path stands: the language model's state, the node in the tree, and the last token. It holds two
scores, of its best path that ends in a blank and of its best that ends in that token, so that paths that differ in
blanks alone take no place from others (Hannun et al. 2014); paths that meet are merged, the better one goes on, and
what it beat is remembered where the words before differ: `asr.decoding.nbest` finds the other readings by that. What a
path may still hope for from the language model is added inside a word already (`asr.decoding.lookahead`).

Arrays in, arrays out: the result depends neither on how frames are dealt out nor on anything outside. numba keeps what
it compiled beside this file and compiles again when this file changes, not when `walk` or the modules of
`asr.decoding` that it calls do: then delete __pycache__.
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.candidates import Candidates, allocate, lose, offer, place_for
from asr.decoding.lookahead import Lookahead, cost_of_forgetting, hope, place_of, places_below, root_of
from asr.decoding.paths import (
    NONE,
    History,
    Ints,
    Scores,
    Trace,
    add_rival,
    and_then,
    enter,
    with_room,
    words_of,
)
from asr.decoding.trie import Trie
from asr.lm.automaton import Automaton, walk

BLANK = 0
MORE = 0.5  # log10 by which a word may be likelier than the word before lets hope, before its score is looked up
_ROUNDING = 1e-6  # more than sums of a path's scores in another order differ by
Emissions = np.ndarray[tuple[int, int], np.dtype[np.float32]]


class Fixed(NamedTuple):
    """What all searches of a decoder share."""

    trie: Trie
    automaton: Automaton
    lookahead: Lookahead
    number_begin: Ints  # (L + 1,) of each label, where its words begin in `numbers`
    numbers: Ints  # the language model's numbers of the labels' words; -1: unknown
    label_score: np.ndarray[tuple[int], np.dtype[np.float32]]  # (L,) what saying the label is worth by itself
    best_label_score: float  # of all labels, or 0 where none is worth anything
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


@njit(cache=True, nogil=True)
def _floors(fixed: Fixed, beam: Beam, emission: np.ndarray, floor: float) -> tuple[np.ndarray, float, float]:
    """(N,): below it no token can bring a hypothesis into the next beam; the best score of those that stay as they are,
    and one below which none is kept.

    A token adds what it is worth and at most `most`: what a path hopes for only falls from node to node. The best is
    one without credit, here as in `_go_on`: what may come to nothing must not leave all others behind.
    """
    best, worst = -np.inf, np.inf
    for i in range(len(beam.node)):
        either = max(beam.blank[i], beam.sound[i])
        score = max(either + emission[BLANK], beam.sound[i] + emission[beam.token[i]])
        worst = min(worst, score)
        if score > best:
            best = max(best, score - fixed.credit[beam.node[i]])
    worst = worst if len(beam.node) >= fixed.beam_size else -np.inf
    most = _ROUNDING + fixed.lm_weight * MORE + fixed.best_label_score
    floors = max(worst, best - fixed.threshold) - most - np.maximum(beam.blank, beam.sound)
    return np.maximum(floors, floor), best, worst


@njit(cache=True, nogil=True)
def _room(fixed: Fixed, beam: Beam, emission: np.ndarray, floors: np.ndarray) -> int:
    """How many candidates there can be at most."""
    trie, count = fixed.trie, len(beam.node)
    for i in range(len(beam.node)):
        for child in range(trie.nodes[beam.node[i]]["begin"], trie.nodes[beam.node[i] + 1]["begin"]):
            if emission[trie.nodes[child]["token"]] >= floors[i]:
                count += 1 + trie.nodes[child + 1]["label_begin"] - trie.nodes[child]["label_begin"]
    return count


@njit(cache=True, nogil=True)
def _stay(beam: Beam, trace: Trace, found: Candidates, emission: np.ndarray, frame: int) -> None:
    """Each hypothesis with a blank, or its token once more."""
    for i in range(len(beam.state)):
        place_for(found, i, beam.state[i], beam.node[i], beam.token[i])
        row, sounds = found.rows[i], beam.sound[i] > beam.blank[i]
        row["place"] = beam.place[i]
        row["blank"] = max(beam.blank[i], beam.sound[i]) + emission[BLANK]
        row["blank_trace"] = beam.sound_trace[i] if sounds else beam.blank_trace[i]
        row["blank_end"] = beam.sound_end[i] if sounds else beam.blank_end[i]
        row["sound"] = beam.sound[i] + emission[beam.token[i]]
        row["trace"], row["end"], row["fresh"] = beam.sound_trace[i], frame + 1, False
        row["label"], row["words"] = NONE, words_of(trace, beam.sound_trace[i])
        lower = min(beam.blank[i], beam.sound[i])
        if lower > -np.inf and row["words"] != words_of(trace, beam.blank_trace[i]):
            entry = beam.blank_trace[i] if sounds else beam.sound_trace[i]
            end = beam.blank_end[i] if sounds else beam.sound_end[i]
            lose(found, i, True, lower + emission[BLANK], (entry, end, NONE, False))


@njit(cache=True, nogil=True)
def _say(automaton: Automaton, state: int, numbers: np.ndarray) -> tuple[int, float]:
    """The state after words, given as numbers, and log10 of their probability."""
    total = 0.0
    for k in range(len(numbers)):
        state, score = walk(automaton, state, numbers[k])
        total += score
    return state, total


@njit(cache=True, nogil=True)
def _go_on(
    fixed: Fixed,
    beam: Beam,
    trace: Trace,
    found: Candidates,
    emission: np.ndarray,
    floors: np.ndarray,
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
            if emission[token] < floors[i]:
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
                    count = offer(found, count, (state, child, token), below, score, path, words)
                    if score > best:
                        best = max(best, score - fixed.credit[child])
                for k in range(tree.nodes[child]["label_begin"], tree.nodes[child + 1]["label_begin"]):
                    label = tree.label[k]
                    score = before + fixed.label_score[label]
                    if score + weight * (hopes + MORE) < max(worst, best - fixed.threshold):
                        continue
                    words_said = fixed.numbers[fixed.number_begin[label] : fixed.number_begin[label + 1]]
                    after, said = _say(fixed.automaton, state, words_said)
                    score += weight * said
                    if score >= max(worst, best - fixed.threshold):
                        path = (entry, end, label)
                        key, said_then = (after, 0, token), and_then(words, label)
                        count = offer(
                            found, count, key, root_of(fixed.lookahead, fixed.automaton, after), score, path, said_then
                        )
                        best = max(best, score)
    return count, best


@njit(cache=True, nogil=True)
def _survivors(fixed: Fixed, found: Candidates, count: int, best: float) -> np.ndarray:
    """The places of the best, at most `beam_size`, in the order in which they came; of equals the first."""
    scores = np.maximum(found.rows["blank"][:count], found.rows["sound"][:count])
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
    found: Candidates, kept: np.ndarray, history: History, frame: int, most_behind: float
) -> tuple[Beam, History]:
    """The new beam; what its fresh tokens came from is written into the trace, and then whom they beat."""
    rows = found.rows[kept]
    beam = Beam(
        rows["state"].copy(),
        rows["node"].copy(),
        rows["place"].copy(),
        rows["token"].copy(),
        rows["blank"].copy(),
        rows["sound"].copy(),
        rows["blank_trace"].copy(),
        rows["trace"].copy(),
        rows["blank_end"].copy(),
        rows["end"].copy(),
    )
    lost = found.lost[0]
    history = with_room(history, len(kept) + lost, lost)
    trace, entries, beaten = history.trace, history.entries, history.beaten
    for j in range(len(kept)):
        row = rows[j]
        if row["sound"] > -np.inf and row["fresh"]:
            beam.sound_trace[j], beam.sound_end[j] = entries, frame + 1
            enter(trace, entries, (row["trace"], row["end"], row["label"]), row["token"], frame)
            entries += 1
    for k in range(lost):
        row = found.beaten[k]
        j = np.searchsorted(kept, row["place"])
        if j == len(kept) or kept[j] != row["place"]:
            continue
        winner = beam.blank_trace[j] if row["in_blank"] else beam.sound_trace[j]
        behind = (beam.blank[j] if row["in_blank"] else beam.sound[j]) - row["score"]
        entry, end, label = row["trace"], row["end"], row["label"]
        words = and_then(words_of(trace, entry), label if row["fresh"] else NONE)
        if winner == NONE or behind > most_behind or words == words_of(trace, winner):
            continue
        if row["fresh"]:
            enter(trace, entries, (entry, end, label), beam.token[j], frame)
            entry, end, entries = entries, frame + 1, entries + 1
        if entry != NONE:
            add_rival(history.rivals, beaten, trace, winner, entry, end, behind, frame, row["in_blank"])
            beaten += 1
    return beam, History(trace, entries, history.rivals, beaten)


@njit(cache=True, nogil=True)
def advance(
    fixed: Fixed, beam: Beam, history: History, emissions: np.ndarray, floors: np.ndarray, frame: int
) -> tuple[Beam, History]:
    """More frames, (T, V), the first of which has the number `frame` -> beam, history.

    `floors` (T,): a token below it is not tried in its frame. The given beam is not written, the history goes on.
    """
    for t in range(len(emissions)):
        emission = emissions[t]
        least, best, worst = _floors(fixed, beam, emission, floors[t])
        found = allocate(_room(fixed, beam, emission, least))
        _stay(beam, history.trace, found, emission, frame + t)
        count, best = _go_on(fixed, beam, history.trace, found, emission, least, best, worst)
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
