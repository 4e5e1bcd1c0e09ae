"""How likely sequences of tokens are, summed over all their paths (CTC: Graves et al. 2006), many at once; by numba.

Probabilities are multiplied as they are, each frame's scaled to a sum of one (Rabiner 1989): no logarithm is taken in
the inner loop, which is what a second opinion on fifty readings costs.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numba import njit
from torch import Tensor

BLANK = 0
Probabilities = np.ndarray[tuple[int, int], np.dtype[np.float64]]


def ctc_log_likelihoods(labels: Sequence[Sequence[int]], log_probs: Tensor) -> Tensor:
    """log p of each sequence of tokens; -inf where frames are too few. (T', V) -> (N,) float64."""
    flat = np.fromiter((i for ids in labels for i in ids), np.int64)
    begin = np.concatenate([[0], np.cumsum([len(ids) for ids in labels])]).astype(np.int64)
    peaks = log_probs.amax(1, keepdim=True).double()  # so that no frame is all but zero
    scaled = _forward((log_probs - peaks).exp_().numpy(), flat, begin)
    found = torch.from_numpy(scaled) + peaks.sum()
    for i in torch.nonzero(~found.isfinite()).flatten().tolist():  # too few frames, or too far from what was heard
        found[i] = _in_logarithms(labels[i], log_probs)
    return found


def _in_logarithms(labels: Sequence[int], log_probs: Tensor) -> Tensor:
    """The same of one sequence, by torch."""
    return -torch.nn.functional.ctc_loss(
        log_probs.double()[:, None],
        torch.tensor(labels, dtype=torch.long),
        torch.tensor([len(log_probs)]),
        torch.tensor([len(labels)]),
        reduction="sum",
    )


@njit(cache=True, nogil=True)
def _forward(probs: Probabilities, labels: np.ndarray, begin: np.ndarray) -> np.ndarray:
    """(T', V), all labels, where each sequence's begin (N + 1,) -> (N,); -inf also where the scale gave out."""
    found = np.empty(len(begin) - 1)
    for n in range(len(found)):
        found[n] = _forward_of_one(probs, labels[begin[n] : begin[n + 1]])
    return found


@njit(cache=True, nogil=True, fastmath={"reassoc"})  # sums in any order: several at once
def _forward_of_one(probs: Probabilities, labels: np.ndarray) -> float:
    """States: a blank before each label, the label, …, a blank at the end: in two arrays, the labels' from 1 on."""
    frames, size = len(probs), len(labels)
    if not frames:
        return 0.0 if not size else -np.inf
    skips = np.ones(size)
    skips[1:] = labels[1:] != labels[:-1]
    blank, blank_after = np.zeros(size + 1), np.zeros(size + 1)
    sound, sound_after = np.zeros(size + 1), np.zeros(size + 1)
    blank[0] = 1.0
    total = 0.0
    for t in range(frames):
        emission = probs[t]
        first, last = max(0, size - (frames - t)), min(size, t + 1)  # labels below cannot reach the end any more
        silence, weight = emission[BLANK], 0.0
        for n in range(first, last):
            blank_after[n] = (blank[n] + sound[n]) * silence
            sound_after[n + 1] = (sound[n + 1] + blank[n] + skips[n] * sound[n]) * emission[labels[n]]
            weight += blank_after[n] + sound_after[n + 1]
        blank_after[last] = (blank[last] + sound[last]) * silence
        weight += blank_after[last]
        if not weight > 0.0:
            return -np.inf
        for n in range(first, last + 1):
            blank_after[n] /= weight
            sound_after[n] /= weight
        total += np.log(weight)
        blank, blank_after, sound, sound_after = blank_after, blank, sound_after, sound
    return total + float(np.log(blank[size] + sound[size]))
