"""A second opinion on the best readings of one head: by another head of the network, by a recurrent language model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr.decoding.hypotheses import Hypothesis
from asr.decoding.likelihood import ctc_log_likelihoods
from asr.lm.recurrent import LanguageModel
from asr.model.units import Units


def rescore(
    hypotheses: Sequence[Hypothesis], log_probs: Tensor, units: Units, weight: float, margin: float = math.inf
) -> list[Hypothesis]:
    """Add weight · log p(text) by a head's (T', V), summed over all its paths (CTC); the best first."""
    return rescore_by(lambda texts: log_likelihoods(texts, log_probs, units), hypotheses, weight, margin)


def rescore_by_language(
    hypotheses: Sequence[Hypothesis], model: LanguageModel, weight: float, margin: float = math.inf
) -> list[Hypothesis]:
    """Add weight · log p(text) by a recurrent language model; the best first."""
    return rescore_by(model.score, hypotheses, weight, margin)


def rescore_by(
    score: Callable[[list[str]], Tensor], hypotheses: Sequence[Hypothesis], weight: float, margin: float = math.inf
) -> list[Hypothesis]:
    """Add weight · score to each reading, texts -> (N,); the best first.

    Readings further than `margin` behind the best are not asked about: they count as the worst of the others.
    """
    if len(hypotheses) < 2 or weight == 0:
        return list(hypotheses)
    least = max(x.score for x in hypotheses) - margin
    near = [i for i, x in enumerate(hypotheses) if x.score >= least]
    scores = torch.full((len(hypotheses),), -torch.inf, dtype=torch.float64)
    scores[near] = score([hypotheses[i].text for i in near]).double()
    return judge(hypotheses, scores, weight)


def judge(hypotheses: Sequence[Hypothesis], scores: Tensor, weight: float) -> list[Hypothesis]:
    """Add weight · score (N,) to each; the best first.

    A reading that cannot be scored (-inf) keeps the lowest score of those that can.
    """
    lowest = scores[scores.isfinite()].min() if scores.isfinite().any() else torch.tensor(0.0)
    added = torch.where(scores.isfinite(), scores, lowest).tolist()
    judged = [replace(x, score=x.score + weight * extra) for x, extra in zip(hypotheses, added, strict=True)]
    return sorted(judged, key=lambda x: (-x.score, x.text))


def log_likelihoods(texts: Sequence[str], log_probs: Tensor, units: Units) -> Tensor:
    """log p(text) of each; -inf where it cannot be written. (T', V) -> (N,)."""
    spelled = [units.encode(text) for text in texts]
    found = ctc_log_likelihoods([ids or [] for ids in spelled], log_probs)
    unknown = torch.tensor([ids is None for ids in spelled])
    return torch.where(unknown, torch.tensor(-torch.inf), found)
