"""Greedy CTC decoding: the most likely token of each frame, repeats joined, blanks dropped (Graves et al.

2006, section 3.2).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

import torch
from torch import Tensor

from asr.decoding.words import Word
from asr.model.units import WORD_START


@dataclass(frozen=True)
class Token:
    """One token as it was found: frames [start, end) and its mean log-probability over them."""

    id: int
    start: int
    end: int
    log_prob: float


def decode_greedily(log_probs: Tensor, lengths: Tensor) -> list[list[Token]]:
    """(B, T', V), (B,) -> the tokens of each stream. The arg max runs on the device, the joining on the host."""
    best, ids = log_probs.max(dim=-1)
    streams = zip(ids.cpu(), best.cpu(), lengths.tolist(), strict=True)
    return [_join(stream_ids[:length], stream_best[:length]) for stream_ids, stream_best, length in streams]


def _join(ids: Tensor, best: Tensor) -> list[Token]:
    """One stream's (T',) arg max and its log-probabilities -> tokens."""
    values, counts = torch.unique_consecutive(ids, return_counts=True)
    tokens, start = [], 0
    for value, count in zip(values.tolist(), counts.tolist(), strict=True):
        if value != 0:
            tokens.append(Token(value, start, start + count, float(best[start : start + count].mean())))
        start += count
    return tokens


def words_of(tokens: Sequence[Token], pieces: Sequence[str], *, frame_s: float, end_s: float) -> tuple[Word, ...]:
    """Tokens to words: a piece with "▁" opens one.

    Times in seconds; a word's confidence is the geometric mean of its tokens'.

    CTC lights a token up for a frame or two, so a word's end is drawn to the middle of the gap to the next, at
    most 0.2 s away.
    """
    groups: list[list[Token]] = []
    for token in tokens:
        if pieces[token.id].startswith(WORD_START) or not groups:
            groups.append([])
        groups[-1].append(token)
    spelled = [("".join(pieces[token.id] for token in group).strip(WORD_START), group) for group in groups]
    spelled = [(text, group) for text, group in spelled if text]
    starts = [group[0].start * frame_s for _, group in spelled] + [end_s]
    words = []
    for (text, group), following in zip(spelled, starts[1:], strict=True):
        end = group[-1].end * frame_s
        end = min(end_s, end + min(0.2, max(0.0, following - end) / 2))
        confidence = exp(sum(token.log_prob for token in group) / len(group))
        words.append(Word(text, group[0].start * frame_s, max(end, group[0].start * frame_s), confidence))
    return tuple(words)
