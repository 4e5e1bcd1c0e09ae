"""All spellings of a lexicon as one tree of tokens, in plain arrays: what a search walks down."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Records = np.ndarray[tuple[int], np.dtype[np.void]]
NODE = np.dtype(
    [
        ("begin", np.int32),  # the first child; the next node's is where they end
        ("label_begin", np.int32),
        ("token", np.int32),  # that leads to the node
        ("best", np.float32),  # the highest score among the labels here and below: what a path may still hope for
    ]
)


class Trie(NamedTuple):
    """Node 0 is the root. Nodes stand depth by depth, so a node's children stand side by side.

    The labels that end at a node are those in `label` from its `label_begin` to the next node's.
    """

    nodes: Records  # (N + 1,) of NODE, a node's values side by side in memory; the last one only ends the one before
    label: Ints  # (L,)


def build_trie(spellings: Sequence[Sequence[int]], labels: Sequence[int], scores: ArrayLike) -> Trie:
    """Spellings (token numbers, none empty) with their labels and the labels' scores. Doubles count once."""
    lengths = np.array([len(spelling) for spelling in spellings], np.int64)
    depth = int(lengths.max(initial=0))
    table = np.full((len(spellings), depth), -1, np.int32)
    for row, spelling in enumerate(spellings):
        table[row, : len(spelling)] = spelling
    order = np.lexsort([np.asarray(labels, np.int64), *table.T[::-1]])
    table, lengths = table[order], lengths[order]
    label, score = np.asarray(labels, np.int32)[order], np.asarray(scores, np.float32)[order]
    same = np.ones(len(table), bool)  # whether a row's first tokens are those of the row before it
    same[:1] = False
    node = np.zeros(len(table), np.int32)  # of each row, at the depth reached
    tokens, parents, size = [np.zeros(1, np.int32)], [np.zeros(1, np.int32)], 1
    for d in range(depth):
        same[1:] &= table[1:, d] == table[:-1, d]
        there = lengths > d
        fresh = there & ~same
        tokens.append(table[fresh, d])
        parents.append(node[fresh])
        node = np.where(there, size - 1 + np.cumsum(fresh, dtype=np.int32), node).astype(np.int32)
        size += int(fresh.sum())
    token, parent = np.concatenate(tokens), np.concatenate(parents)
    best = np.full(size, -np.inf, np.float32)
    np.maximum.at(best, node, score)
    ends = np.cumsum([len(part) for part in tokens])
    for first, end in zip(ends[:-1][::-1].tolist(), ends[1:][::-1].tolist(), strict=True):  # the deepest first
        np.maximum.at(best, parent[first:end], best[first:end])
    pairs = np.unique(np.stack([node, label]), axis=1) if len(label) else np.zeros((2, 0), np.int32)
    nodes = np.zeros(size + 1, NODE)
    nodes["begin"] = np.concatenate([[1], 1 + np.cumsum(np.bincount(parent[1:], minlength=size))])
    nodes["label_begin"] = np.concatenate([[0], np.cumsum(np.bincount(pairs[0], minlength=size))])
    nodes["token"][:-1], nodes["best"][:-1] = token, best
    return Trie(nodes, label=pairs[1].astype(np.int32))


def spelled(trie: Trie, tokens: Sequence[int]) -> list[int]:
    """The labels that a spelling stands for."""
    node = 0
    for token in tokens:
        children: Any = range(int(trie.nodes[node]["begin"]), int(trie.nodes[node + 1]["begin"]))
        node = next((child for child in children if trie.nodes[child]["token"] == token), -1)
        if node < 0:
            return []
    begin, end = trie.nodes["label_begin"][node : node + 2]
    return [int(label) for label in trie.label[begin:end]]
