"""A second opinion on the best readings of one head: by another head of the network, by a recurrent language model."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from asr.decoding.beam import BeamConfig
from asr.decoding.hypotheses import Hypothesis
from asr.decoding.likelihood import ctc_log_likelihoods
from asr.lm.automaton import NgramModel
from asr.model.units import Units


def rescore(
    hypotheses: Sequence[Hypothesis], log_probs: Tensor, units: Units, weight: float, margin: float = math.inf
) -> list[Hypothesis]:
    """Add weight · log p(text) by a head's (T', V), summed over all its paths (CTC); the best first."""
    return rescore_by(lambda texts: log_likelihoods(texts, log_probs, units), hypotheses, weight, margin)


def rescore_by(
    score: Callable[[list[str]], Tensor], hypotheses: Sequence[Hypothesis], weight: float, margin: float = math.inf
) -> list[Hypothesis]:
    """Add weight · score to each reading, texts -> (N,); the best first.

    Readings further than `margin` behind the best are not asked about, and stay behind those that are. One that cannot
    be scored (-inf) gets the lowest score of those that can.
    """
    if len(hypotheses) < 2 or weight == 0:
        return list(hypotheses)
    least = max(x.score for x in hypotheses) - margin
    near = [x for x in hypotheses if x.score >= least]
    scores = score([x.text for x in near]).double()
    lowest = float(scores[scores.isfinite()].min()) if scores.isfinite().any() else 0.0
    added = torch.where(scores.isfinite(), scores, lowest).tolist()
    judged = [replace(x, score=x.score + weight * extra) for x, extra in zip(near, added, strict=True)]
    behind = min(x.score for x in judged)
    judged += [replace(x, score=min(x.score + weight * lowest, behind)) for x in hypotheses if x.score < least]
    return sorted(judged, key=lambda x: (-x.score, x.text))


def expected(texts: Sequence[str], said: Tensor, ngrams: NgramModel, config: BeamConfig) -> Tensor:
    """What a recurrent language model says of texts, (N,), weighed, and what that changes of the n-grams' say. (N,)."""
    lm, word = config.final_lm_weight, config.final_word_score
    sentences = [text.split() for text in texts]
    found = config.recurrent_weight * said.double()
    if lm is not None:
        found += (lm - config.lm_weight) * torch.from_numpy(ngrams.totals(sentences))
    if word is not None:
        found += (word - config.word_score) * torch.tensor([len(words) for words in sentences])
    return found


def log_likelihoods(texts: Sequence[str], log_probs: Tensor, units: Units) -> Tensor:
    """log p(text) of each; -inf where it cannot be written. (T', V) -> (N,)."""
    spelled = [units.encode(text) for text in texts]
    found = ctc_log_likelihoods([ids or [] for ids in spelled], log_probs)
    unknown = torch.tensor([ids is None for ids in spelled])
    return torch.where(unknown, torch.tensor(-torch.inf), found)
