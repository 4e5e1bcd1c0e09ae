"""A second opinion: the best readings of one head, scored by another head of the same network."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr.decoding.beam import Hypothesis
from asr.model.units import Units


def rescore(hypotheses: Sequence[Hypothesis], log_probs: Tensor, units: Units, weight: float) -> list[Hypothesis]:
    """Add weight · log p(text) by a head's (T', V), summed over all its paths (CTC); the best first.

    A reading that the head cannot write, or has too few frames for, keeps the lowest score of those that it can.
    """
    if len(hypotheses) < 2 or weight == 0:
        return list(hypotheses)
    scores = log_likelihoods([hypothesis.text for hypothesis in hypotheses], log_probs, units)
    lowest = scores[scores.isfinite()].min() if scores.isfinite().any() else torch.tensor(0.0)
    added = torch.where(scores.isfinite(), scores, lowest).tolist()
    judged = [replace(x, score=x.score + weight * extra) for x, extra in zip(hypotheses, added, strict=True)]
    return sorted(judged, key=lambda x: (-x.score, x.text))


def log_likelihoods(texts: Sequence[str], log_probs: Tensor, units: Units) -> Tensor:
    """log p(text) of each by CTC's forward algorithm; -inf where it cannot be written. (T', V) -> (N,)."""
    spelled = [units.encode(text) for text in texts]
    labels = [ids or [] for ids in spelled]
    frames = torch.full((len(texts),), len(log_probs))
    losses = torch.nn.functional.ctc_loss(
        log_probs[:, None].expand(-1, len(texts), -1),
        torch.tensor([i for ids in labels for i in ids], dtype=torch.long),
        frames,
        torch.tensor([len(ids) for ids in labels]),
        reduction="none",
    )
    unknown = torch.tensor([ids is None for ids in spelled])
    return torch.where(unknown, torch.tensor(-torch.inf), -losses)
