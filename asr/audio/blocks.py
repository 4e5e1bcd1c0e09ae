"""Pieces of sound, as decoders give them, joined to blocks."""

from collections.abc import Iterator

import numpy as np

from asr.audio.mixing import Channels
from asr.errors import AudioError


def in_blocks(pieces: Iterator[tuple[Channels, int]], block_s: float) -> Iterator[tuple[Channels, int]]:
    """Pieces (S, C) with their rate in Hz to blocks of some `block_s` seconds, each of one rate and channel count: two
    recordings may have been joined, and a broadcast may go from one channel to two.

    An AudioError of the pieces comes after all that came before it.
    """
    kept: list[Channels] = []
    samples, rate, damage = 0, 0, None
    try:
        for piece, its_rate in pieces:
            changed = kept and (its_rate != rate or piece.shape[1] != kept[-1].shape[1])
            if changed or samples >= block_s * rate > 0:
                yield np.concatenate(kept), rate
                kept, samples = [], 0
            rate = its_rate
            kept.append(piece)
            samples += len(piece)
    except AudioError as error:
        damage = error
    if kept:
        yield np.concatenate(kept), rate
    if damage is not None:
        raise damage
