"""All spellings of a lexicon as one tree of tokens, in plain arrays: what a search walks down."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Floats = np.ndarray[tuple[int], np.dtype[np.float32]]


class Trie(NamedTuple):
    """Node 0 is the root. Nodes stand depth by depth, so a node's children stand side by side.

    The labels that end at a node are `label[label_begin[node] : label_begin[node + 1]]`; `best` is the highest score
    among the labels at the node and below it: what a path may still hope for.
    """

    token: Ints  # (N,) that leads to each node
    begin: Ints  # (N + 1,) first child of each node; the next one's is where they end
    label_begin: Ints  # (N + 1,)
    label: Ints  # (L,)
    best: Floats  # (N,)


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
    return Trie(
        token=token.astype(np.int32),
        begin=np.concatenate([[1], 1 + np.cumsum(np.bincount(parent[1:], minlength=size))]).astype(np.int32),
        label_begin=np.concatenate([[0], np.cumsum(np.bincount(pairs[0], minlength=size))]).astype(np.int32),
        label=pairs[1].astype(np.int32),
        best=best,
    )


def spelled(trie: Trie, tokens: Sequence[int]) -> list[int]:
    """The labels that a spelling stands for."""
    node = 0
    for token in tokens:
        children: Any = range(int(trie.begin[node]), int(trie.begin[node + 1]))
        node = next((child for child in children if trie.token[child] == token), -1)
        if node < 0:
            return []
    return [int(label) for label in trie.label[trie.label_begin[node] : trie.label_begin[node + 1]]]
