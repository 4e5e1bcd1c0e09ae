"""Several channels become one: their mean, unless it would cancel what they hold.

A balanced plug in a stereo input records right = -left, and the mean of these is silence. So it is watched how much of
the channels' energy their mean keeps; where that is nearly nothing, channels of opposite phase are turned round first.
The decision is made for pieces on a grid counted from the first sample, each from what has come up to its end: it does
not depend on how the samples are cut into blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

GRID_S = 0.05  # the pieces; a microphone's blocks are as long, so they need not wait
MEMORY_S = 1.0  # in which what was heard before fades: a pause changes nothing, other channels soon do
KEPT = 0.05  # share of the channels' energy that their mean keeps at least, or it is taken to cancel them
OPPOSITE = "its channels are of opposite phase and would cancel each other: they are turned round and then mixed"

Samples = np.ndarray[tuple[int], np.dtype[np.float32]]
Channels = np.ndarray[tuple[int, int], np.dtype[np.float32]]  # (S, C)
Products = np.ndarray[tuple[int, int], np.dtype[np.float64]]  # (C, C), of each channel's changes with each other's


@dataclass(frozen=True, eq=False)
class MixState:
    """What is kept of a stream: how its channels go together, and less than a piece of samples."""

    products: Products
    tail: Channels
    turned: bool = False  # whether channels have been turned round by now


def piece_samples(rate: float) -> int:
    """How long the pieces are at a rate in Hz."""
    return max(1, round(GRID_S * rate))


def start(channels: int) -> MixState:
    """A stream before its first sample."""
    return MixState(np.zeros((channels, channels)), np.zeros((0, channels), np.float32))


def step(state: MixState, block: Channels, rate: float) -> tuple[MixState, Samples]:
    """All whole pieces: block (S, C), S may be 0 -> (S',). One channel is given as it is."""
    if block.shape[1] == 1:
        return state, block[:, 0]
    grid = piece_samples(rate)
    block = np.concatenate([state.tail, block])
    ready, tail = np.split(block, [len(block) // grid * grid])
    mono: Samples = ready.mean(axis=1, dtype=np.float32)
    products, turned = state.products, state.turned
    for first in range(0, len(ready), grid):
        piece = ready[first : first + grid]
        products = products * (1 - GRID_S / MEMORY_S) + _products(piece)
        if _cancelled(products):
            mono[first : first + grid] = piece @ _signs(products) / np.float32(piece.shape[1])
            turned = True
    return MixState(products, tail.copy(), turned), mono


def finish(state: MixState) -> Samples:
    """The samples that are left, as one shorter piece."""
    rate = max(1, len(state.tail)) / GRID_S
    return step(MixState(state.products, state.tail[:0]), state.tail, rate)[1]


def mix(blocks: Iterator[tuple[Channels, int]], tell: Callable[[str], None]) -> Iterator[tuple[Samples, int]]:
    """Blocks (S, C) with their rate -> (S',) with theirs; `tell` is told once where channels are turned round."""
    state, at, told = start(0), 0, False
    for block, rate in blocks:
        if (block.shape[1], rate) != (state.tail.shape[1], at):  # the first block; or the recording goes on otherwise
            if len(state.tail):
                yield finish(state), at
            state, at = start(block.shape[1]), rate
        state, mono = step(state, block, rate)
        if state.turned and not told:
            told = True
            tell(OPPOSITE)
        yield mono, rate
    if len(state.tail):
        yield finish(state), at


def _products(piece: Channels) -> Products:
    """Of the changes from sample to sample: a constant or a hum, however loud, does not decide about speech."""
    changes = np.diff(piece, axis=0)
    with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found by those who read the samples
        return (changes.T @ changes).astype(np.float64)


def _cancelled(products: Products) -> bool:
    """The energy of the mean, sum / C², is less than a share of the channels' own, trace / C."""
    return bool(products.sum() < KEPT * len(products) * np.trace(products))


def _signs(products: Products) -> Samples:
    """(C,) of 1, -1, or 0 for silence: how each channel goes with the loudest one; the first that sounds stays."""
    signs = np.sign(products[:, np.diag(products).argmax()])
    signs *= signs[signs != 0][0]
    return signs.astype(np.float32)
