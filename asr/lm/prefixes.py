"""Token sequences as the tree of their common beginnings, level by level: each beginning is then computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Level:
    """n beginnings that go on for k tokens until one of them branches or ends: so many calls less for the network.

    `parents`: (n,), the place of what each one goes on from among the ends of the level above. `tokens`: (n, k).
    """

    parents: Tensor
    tokens: Tensor


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """Levels from the root (the boundary, whose parent is place 0 of a start state) on.

    `paths`: for each sequence the places of its beginnings, counted through all levels as their tokens lie, and the
    token after each.
    """

    levels: tuple[Level, ...]
    paths: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], root: int = 0) -> "PrefixTree":
        """A tree over one sequence or more, each of one token or more."""
        depths = _depths(sequences, root)
        firsts = [d for d, (parents, _, _) in enumerate(depths) if parents is not None]
        levels, places, before = list[Level](), list[list[int]]([] for _ in sequences), 0
        for first, end in zip(firsts, [*firsts[1:], len(depths)], strict=True):
            parents, width = depths[first][0], end - first
            tokens = [list(column) for column in zip(*(tokens for _, tokens, _ in depths[first:end]), strict=True)]
            levels.append(Level(torch.tensor(parents), torch.tensor(tokens)))
            for t in range(width):
                for i, row in depths[first + t][2].items():
                    places[i].append(before + row * width + t)
            before += len(tokens) * width
        paths = (
            (torch.tensor(found), torch.tensor(sequence)) for found, sequence in zip(places, sequences, strict=True)
        )
        return cls(tuple(levels), tuple(paths))


def _depths(sequences: Sequence[Sequence[int]], root: int) -> list[tuple[list[int] | None, list[int], dict[int, int]]]:
    """Of the beginnings of each length: parents (None: all go on alike), tokens, and which one is each sequence's."""
    at = dict.fromkeys(range(len(sequences)), 0)
    depths: list[tuple[list[int] | None, list[int], dict[int, int]]] = [([0], [root], at)]
    for depth in range(1, max(map(len, sequences))):
        known: dict[tuple[int, int], int] = {}
        at = {
            i: known.setdefault((place, sequences[i][depth - 1]), len(known))
            for i, place in at.items()
            if depth < len(sequences[i])
        }
        parents = [parent for parent, _ in known]
        alike = parents == list(range(len(depths[-1][1])))
        depths.append((None if alike else parents, [token for _, token in known], at))
    return depths
