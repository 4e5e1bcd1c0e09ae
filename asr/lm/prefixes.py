"""Token sequences as the tree of their common beginnings, level by level: each beginning is then computed once."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Level:
    """The beginnings of one length: the place of each one's parent in the level above, and its last token. (n,)."""

    parents: Tensor
    tokens: Tensor


@dataclass(frozen=True, eq=False)
class PrefixTree:
    """Levels from the root (the boundary, whose parent is place 0 of a start state) on.

    `paths`: for each sequence the places, counted through all levels, of its beginnings, and the token after each.
    """

    levels: tuple[Level, ...]
    paths: tuple[tuple[Tensor, Tensor], ...]

    @classmethod
    def of(cls, sequences: Sequence[Sequence[int]], root: int = 0) -> "PrefixTree":
        """A tree over one sequence or more, each of one token or more."""
        places: list[list[int]] = [[0] for _ in sequences]
        at = [0] * len(sequences)  # place within the level
        levels = [Level(torch.tensor([0]), torch.tensor([root]))]
        before = 1
        for depth in range(1, max(map(len, sequences))):
            known: dict[tuple[int, int], int] = {}
            for i, sequence in enumerate(sequences):
                if depth < len(sequence):
                    at[i] = known.setdefault((at[i], sequence[depth - 1]), len(known))
                    places[i].append(before + at[i])
            levels.append(Level(torch.tensor([p for p, _ in known]), torch.tensor([token for _, token in known])))
            before += len(known)
        paths = (
            (torch.tensor(found), torch.tensor(sequence)) for found, sequence in zip(places, sequences, strict=True)
        )
        return cls(tuple(levels), tuple(paths))
