"""Token sequences as the tree of their common beginnings, level by level: each beginning is then computed once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

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
        firsts = [d for d, depth in enumerate(depths) if not depth.alike]
        levels, places, before = list[Level](), list[list[int]]([] for _ in sequences), 0
        for first, end in zip(firsts, [*firsts[1:], len(depths)], strict=True):
            level = Level(torch.tensor(depths[first].parents), torch.tensor([x.tokens for x in depths[first:end]]).T)
            levels.append(level)
            for t, depth in enumerate(depths[first:end]):
                for i, row in depth.at.items():
                    places[i].append(before + row * (end - first) + t)
            before += level.tokens.numel()
        paths = (
            (torch.tensor(found), torch.tensor(sequence)) for found, sequence in zip(places, sequences, strict=True)
        )
        return cls(tuple(levels), tuple(paths))


class _Depth(NamedTuple):
    """The beginnings of one length."""

    parents: list[int]  # the place of each one's parent in the depth above
    tokens: list[int]  # the last of each one
    at: dict[int, int]  # sequence -> which of these is its own
    alike: bool  # whether each of the depth above goes on, once: its parents are 0, 1, …


def _depths(sequences: Sequence[Sequence[int]], root: int) -> list[_Depth]:
    depths = [_Depth([0], [root], dict.fromkeys(range(len(sequences)), 0), alike=False)]
    for depth in range(1, max(map(len, sequences))):
        known: dict[tuple[int, int], int] = {}
        above = depths[-1]
        at = {
            i: known.setdefault((place, sequences[i][depth - 1]), len(known))
            for i, place in above.at.items()
            if depth < len(sequences[i])
        }
        parents = [parent for parent, _ in known]
        alike = parents == list(range(len(above.tokens)))
        depths.append(_Depth(parents, [token for _, token in known], at, alike))
    return depths
