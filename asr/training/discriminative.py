"""Discriminative sequence training: what was said against everything that could have been, under an n-gram of tokens.

CTC asks only that the right sequence be likely. Here it must be likelier than the others when a language model has its
say, as it will when words are searched: the criterion is log p(l*) - log Σ_l p(l), where p(l) = p_CTC(l | x) · p_LM(l).
The sum over all sequences is exact: a forward pass through CTC's topology composed with a trigram of tokens.

Lattice-free MMI: Povey et al. 2016. With CTC's topology (CTC-CRF): Xiang and Ou 2019.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.autograd.function import once_differentiable

from asr.errors import ConfigError
from asr.lm.counting import read_lines
from asr.model.acoustic import Encoded
from asr.model.units import Units, frames_needed
from asr.training.loss import ctc_each, label_count
from asr.writing import whole_file

RESCALED = 4  # frames; the likeliest path of more could leave single precision
BEGIN = 0  # of a sentence, as a history; as a token 0 is the blank, which no sequence holds


@dataclass(frozen=True)
class DiscriminativeConfig:
    """`head`'s loss becomes weight · MMI + ctc · CTC."""

    head: str = "phoneme"
    weight: float = 1.0
    ctc: float = 0.1  # keeps the alignment from drifting
    texts: list[Path] = field(default_factory=list)  # of the trigram, plain or .xz
    every: int = 10  # of their lines, one in so many

    def __post_init__(self) -> None:
        if not self.texts or self.every < 1:
            raise ConfigError("discriminative.texts", "expected texts to count trigrams in, and every 1 or more")


class SequenceLoss:
    """The trigram of a config's texts, and the loss under it."""

    def __init__(self, config: DiscriminativeConfig, units: Units, folder: Path) -> None:
        """`folder`: the run's, where the trigram is kept: minutes of counting, which a run that goes on is spared."""
        self.config = config
        kept = folder / "trigram.safetensors"
        texts = [(str(x), x.stat().st_size if x.exists() else 0) for x in config.texts]
        source = json.dumps([texts, config.every, list(units.tokens)])
        found = _read_trigram(kept, source)
        if found is None:
            lines = islice(read_lines(config.texts), 0, None, config.every)
            found = trigram(filter(None, (units.encode(line.strip()) for line in lines)), len(units.tokens))
            with whole_file(kept) as part:
                save_file({"trigram": found}, part, {"source": source})
        self.lm = found

    def added_to(
        self, losses: dict[str, Tensor], encoded: Encoded, targets: dict[str, list[list[int] | None]]
    ) -> dict[str, Tensor]:
        """The heads' CTC losses with the one head's made discriminative: mean a label, as theirs are."""
        head = self.config.head
        if head not in losses:
            return losses
        each = mmi_loss(encoded.log_probs[head], encoded.lengths, targets[head], self.lm)
        mean = each.sum() / label_count(encoded.lengths, targets[head])
        return losses | {head: self.config.weight * mean + self.config.ctc * losses[head]}


def _read_trigram(path: Path, source: str) -> Tensor | None:
    """What was kept, if it is of the same texts and tokens and whole."""
    try:
        with safe_open(path, "pt") as file:
            return file.get_tensor("trigram") if (file.metadata() or {}).get("source") == source else None
    except (OSError, SafetensorError):
        return None


def trigram(sequences: Iterable[list[int]], size: int) -> Tensor:
    """p(q | i, j) as (V, V, V), smoothed as Witten and Bell 1991; nothing for the blank."""
    counts = torch.zeros(size**3)
    for ids in sequences:
        x = torch.tensor([BEGIN, BEGIN, *ids])
        counts += torch.bincount((x[:-2] * size + x[1:-1]) * size + x[2:], minlength=size**3)
    triples = counts.view(size, size, size)
    lower = torch.ones(size) / (size - 1)
    lower[0] = 0.0
    for table in (triples.sum((0, 1)), triples.sum(0), triples):
        kinds = (table > 0).sum(-1, keepdim=True).clamp_min(1)
        lower = (table + kinds * lower) / (table.sum(-1, keepdim=True) + kinds)
    return lower


def mmi_loss(log_probs: Tensor, lengths: Tensor, targets: list[list[int] | None], lm: Tensor) -> Tensor:
    """-log of the share of what was said in all that could have been; (B, T', V), (B,) -> (B,).

    Zero where the text is unknown or has more tokens than its frames can hold. `lm`: as `trigram` gives it.
    """
    room = lengths.tolist()
    known = [i for i, ids in enumerate(targets) if ids is not None and frames_needed(ids) <= room[i]]
    labels = [targets[i] or [] for i in known]
    losses = log_probs.new_zeros(len(targets))
    if not known:
        return losses
    found, frames = log_probs[known], lengths[known]
    ctc = ctc_each(found, frames, labels)
    prior = torch.stack([_log_prior(ids, lm) for ids in labels]).to(found.device)
    return losses.index_put((torch.tensor(known, device=found.device),), ctc - prior + log_total(found, frames, lm))


def _log_prior(ids: list[int], lm: Tensor) -> Tensor:
    x = torch.tensor([BEGIN, BEGIN, *ids])
    return lm[x[:-2], x[1:-1], x[2:]].log().sum()


def log_total(log_probs: Tensor, lengths: Tensor, lm: Tensor) -> Tensor:
    """log Σ_l p_CTC(l | x) · p_LM(l) over all token sequences. (B, T, V), (B,), (V, V, V) -> (B,)."""
    total: Tensor = _LogTotal.apply(log_probs, lengths, lm.to(log_probs))  # type: ignore[no-untyped-call]
    return total


class _LogTotal(torch.autograd.Function):
    """A state is a history (i, j) and whether the last frame said j or blank; laid out [j, stream, said or blank, i].

    Probabilities are scaled to sum to one every `RESCALED` frames; the scales' logs make the result. The gradient is
    the share of all paths that say a token in a frame. A frame is few operations: a GPU waits for their calls.
    """

    @staticmethod
    def forward(ctx: Any, log_probs: Tensor, lengths: Tensor, lm: Tensor) -> Tensor:
        streams, frames, size = log_probs.shape
        inside = torch.arange(frames, device=log_probs.device) < lengths[:, None]
        said = torch.where(inside[..., None], log_probs.exp(), torch.eye(size)[0].to(log_probs))  # padding: blank
        said = said.permute(1, 2, 0)  # [t, q, stream]
        said = torch.stack([said, said[:, :1].expand_as(said)], dim=-1)[..., None].contiguous()
        enter = _transitions(lm)
        states = log_probs.new_zeros(frames + 1, size, streams, 2, size)  # before each frame
        states[0, BEGIN, :, 1, BEGIN] = 1.0
        scales = log_probs.new_ones(frames, streams)
        for t in range(frames):
            before, after = states[t], states[t + 1]
            entered = torch.bmm(before.flatten(2), enter)  # [j, stream, q]
            torch.add(entered.permute(2, 1, 0), before[:, :, 0], out=after[:, :, 0])
            torch.sum(before, dim=2, out=after[:, :, 1])
            after *= said[t]
            if t % RESCALED == RESCALED - 1 or t == frames - 1:
                torch.sum(after, dim=(0, 2, 3), out=scales[t])
                after /= scales[t, :, None, None]
        ctx.save_for_backward(states, said, scales, enter, inside)
        return scales.log().sum(0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None, None]:
        states, said, scales, enter, inside = ctx.saved_tensors
        leave = enter.transpose(1, 2).contiguous()
        passed = torch.empty_like(states[1:, ..., 0])  # [t, q, stream, said or blank]
        worth = torch.ones_like(states[0])  # what follows a state
        for t in reversed(range(len(said))):
            torch.sum(states[t + 1] * worth, dim=3, out=passed[t])
            if t % RESCALED == RESCALED - 1 or t == len(said) - 1:
                worth /= scales[t, :, None, None]
            worth *= said[t]
            spoken, silent = worth[:, :, 0], worth[:, :, 1:]
            worth = torch.bmm(spoken.permute(2, 1, 0), leave).view_as(worth) + silent
            worth[:, :, 0] += spoken
        shares = passed[..., 0]
        shares[:, 0] = passed[..., 1].sum(1)
        shares = shares / shares.sum(1, keepdim=True)
        return shares.permute(2, 0, 1) * inside[..., None] * slope[:, None, None], None, None


def _transitions(lm: Tensor) -> Tensor:
    """p(q | i, j) as [j, said or blank then i, q]; straight from j to j, without a blank, is no new j."""
    after_blank = lm.transpose(0, 1)
    after_token = after_blank * (1 - torch.eye(len(lm)).to(lm))[:, None]
    return torch.cat([after_token, after_blank], dim=1).contiguous()
