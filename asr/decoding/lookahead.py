"""What the word before lets a path hope for inside the next one: bigrams spread over the tree of spellings; by numba.

The language model speaks at the end of a word; until then a search must guess what it will say, or it drops what it
will like and keeps what it will not (Ortmanns et al. 1996, "Language-model look-ahead"). The guess at a node of the
tree: log10 p of the likeliest word at or below it after the word before, or of the likeliest by itself and what it
costs to forget the word before, whichever is more. Of the bigrams only those that the model has are stored, for each
word before as a tree of its own, a small part of the whole one (as in Nolden et al. 2011, "Exploiting sparseness").
"""

from typing import NamedTuple

import numpy as np
from numba import njit

from asr.decoding.paths import NONE
from asr.decoding.trie import Ints, Records, Trie
from asr.lm.automaton import Automaton

PLACE = np.dtype(
    [
        ("begin", np.int32),  # the first place below; the next place's is where they end
        ("node", np.int32),  # of the whole tree
        ("best", np.float32),  # log10 p of the likeliest word at or below it, after the word before
    ]
)


class Lookahead(NamedTuple):
    """Places, those of a word before side by side, depth by depth as in the whole tree; the first is its root.

    A word's last place may seem to have the next word's root below it: that is node 0, which is below nothing.
    """

    places: Records  # (P + 1,) of PLACE
    root: Ints  # (V,) of each word of the language model; NONE where it has no bigrams


@njit(cache=True, nogil=True)
def root_of(lookahead: Lookahead, automaton: Automaton, state: int) -> int:
    """The place where a path begins that has just come to a state of the language model."""
    return lookahead.root[automaton.word[state]] if state else NONE


@njit(cache=True, nogil=True)
def cost_of_forgetting(automaton: Automaton, state: int) -> float:
    """log10 of what it takes to say a word that the model does not have after the state's last one."""
    return automaton.nodes[1 + automaton.word[state]]["backoff"] if state else 0.0


@njit(cache=True, nogil=True)
def hope(lookahead: Lookahead, place: int, forgotten: float) -> float:
    """log10 p of the likeliest word at or below a place; `forgotten`: of the likeliest without the word before."""
    return forgotten if place == NONE else max(forgotten, lookahead.places[place]["best"])


@njit(cache=True, nogil=True)
def places_below(lookahead: Lookahead, place: int) -> tuple[int, int]:
    """The first of them, and where they end."""
    if place == NONE:
        return 0, 0
    return lookahead.places[place]["begin"], lookahead.places[place + 1]["begin"]


@njit(cache=True, nogil=True)
def place_of(lookahead: Lookahead, place: int, last: int, node: int) -> tuple[int, int]:
    """Of places from `place` on, all before `last`: the first that is not before a node, and that node's, or NONE."""
    while place < last and lookahead.places[place]["node"] < node:
        place += 1
    return place, place if place < last and lookahead.places[place]["node"] == node else NONE


def build_lookahead(trie: Trie, automaton: Automaton, numbers: Ints) -> Lookahead:
    """`numbers`: of each label in the trie, the language model's of its word; below 0: none, or several words."""
    size, words = len(trie.nodes) - 1, int(automaton.nodes["begin"][1]) - 1
    inner = np.repeat(np.arange(size, dtype=np.int32), np.diff(trie.nodes["begin"]))
    parent = np.concatenate([np.zeros(1, np.int32), inner])
    ends = np.repeat(np.arange(size, dtype=np.int32), np.diff(trie.nodes["label_begin"]))
    order = np.argsort(numbers[trie.label], kind="stable")
    ends, said = ends[order], numbers[trie.label][order]
    first = np.searchsorted(said, np.arange(words + 1)).astype(np.int32)
    places, root = _spread(automaton, parent, trie.nodes["best"].copy(), ends, first)
    return Lookahead(places, root)


@njit(cache=True, nogil=True)
def _enter(places: np.ndarray, root: int, nodes: np.ndarray, best: np.ndarray, parent: np.ndarray) -> int:
    """A word's tree from its root on: nodes in order, whose `best` is taken back. Where the next word's begins."""
    places[root]["node"], places[root]["best"] = 0, 0.0
    end = root + 1 + len(nodes)
    for i in range(len(nodes)):
        places[root + 1 + i]["node"], places[root + 1 + i]["best"] = nodes[i], best[nodes[i]]
        best[nodes[i]] = -np.inf
    below = root + 1
    for place in range(root, end):
        places[place]["begin"] = below
        while below < end and parent[places[below]["node"]] == places[place]["node"]:
            below += 1
    return end


@njit(cache=True, nogil=True)
def _spread(
    automaton: Automaton, parent: np.ndarray, alone: np.ndarray, ends: np.ndarray, first: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`alone` (N,): log10 p of the likeliest word at or below a node; a word's spellings end at ends[first[word]:]."""
    words = len(first) - 1
    root = np.full(words, NONE, np.int32)
    best, found = np.full(len(parent), -np.inf, np.float32), np.empty(len(parent), np.int32)
    places, used = np.empty(1024, PLACE), 0
    for before in range(words):
        count, forgotten = 0, automaton.nodes[1 + before]["backoff"]
        for k in range(automaton.nodes[1 + before]["begin"], automaton.nodes[2 + before]["begin"]):
            word, p = automaton.word[k], automaton.nodes[k]["probability"]
            for j in range(first[word], first[word + 1]):
                node = ends[j]
                if p <= forgotten + alone[node]:
                    continue
                while node and best[node] == -np.inf:
                    found[count], best[node] = node, p
                    count, node = count + 1, parent[node]
                while node and best[node] < p:
                    best[node], node = p, parent[node]
        if not count:
            continue
        while used + count + 2 > len(places):
            longer = np.empty(2 * len(places), PLACE)
            longer[:used] = places[:used]
            places = longer
        root[before] = used
        used = _enter(places, used, np.sort(found[:count]), best, parent)
    places[used]["begin"], places[used]["node"] = used, 0
    return places[: used + 1].copy(), root
