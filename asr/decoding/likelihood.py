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
    peaks = log_probs.double().amax(1, keepdim=True)  # so that no frame is all but zero
    scaled = _forward((log_probs.double() - peaks).exp().numpy(), flat, begin)
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


@njit(cache=True, nogil=True)
def _forward_of_one(probs: Probabilities, labels: np.ndarray) -> float:
    """States: a blank before each label, the label, …, a blank at the end. State s is at s + 2 in the arrays."""
    frames, states = len(probs), 2 * len(labels) + 1
    if not frames:
        return 0.0 if states == 1 else -np.inf
    token, skips = np.zeros(states, np.int64), np.zeros(states)
    token[1::2] = labels
    for s in range(3, states, 2):
        skips[s] = 1.0 if token[s] != token[s - 2] else 0.0
    now, after = np.zeros(states + 2), np.zeros(states + 2)
    now[2] = 1.0
    total = 0.0
    for t in range(frames):
        first = max(0, states - 2 * (frames - t))  # what is below cannot reach the end any more
        last = min(states, 2 * (t + 1))
        weight, emission = 0.0, probs[t]
        for s in range(first, last):
            reached = now[s + 2] + now[s + 1] + skips[s] * now[s]
            after[s + 2] = reached * emission[token[s]]
            weight += after[s + 2]
        if not weight > 0.0:
            return -np.inf
        after[first + 2 : last + 2] /= weight
        total += np.log(weight)
        now, after = after, now
    return total + float(np.log(now[states + 1] + (now[states] if states > 1 else 0.0)))
