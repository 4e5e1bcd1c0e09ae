"""The training loss: CTC at every head, each summed over its labels and divided by their number."""

import torch
from torch import Tensor

from asr.model.acoustic import AcousticConfig, Encoded


def ctc_losses(encoded: Encoded, targets: dict[str, list[list[int] | None]]) -> dict[str, Tensor]:
    """Mean CTC loss a label of each head (a tenth of the frames, where labels are fewer).

    `targets`: head -> the tokens of each stream, None where they are unknown.

    A stream with more labels than its frames can hold gives nothing (`zero_infinity`), as does one without targets.
    """
    return {
        head: _ctc(log_probs, encoded.lengths, targets[head])
        for head, log_probs in encoded.log_probs.items()
        if any(labels is not None for labels in targets[head])
    }


def _ctc(log_probs: Tensor, lengths: Tensor, targets: list[list[int] | None]) -> Tensor:
    known = [i for i, labels in enumerate(targets) if labels is not None]
    loss = ctc_each(log_probs[known], lengths[known], [targets[i] or [] for i in known]).sum()
    return loss / label_count(lengths[known], [targets[i] for i in known])


def ctc_each(log_probs: Tensor, lengths: Tensor, targets: list[list[int]]) -> Tensor:
    """The CTC loss of each stream, all of its labels together; 0 where its frames are too few. -> (B,)."""
    return torch.nn.functional.ctc_loss(
        log_probs.transpose(0, 1),
        torch.tensor([i for ids in targets for i in ids], dtype=torch.long, device=log_probs.device),
        lengths,
        torch.tensor([len(ids) for ids in targets], device=log_probs.device),
        blank=0,
        reduction="none",
        zero_infinity=True,
    )


def label_count(lengths: Tensor, targets: list[list[int] | None]) -> int:
    """Labels of all streams; a tenth of their frames, where labels are fewer.

    Speech has a label in every second to fifth frame; a batch of noise, with none, must not weigh without bound.
    """
    return max(1, sum(len(labels or ()) for labels in targets), int(lengths.sum()) // 10)


def kl_divergence(log_probs: Tensor, target: Tensor, lengths: Tensor) -> Tensor:
    """KL(target ‖ log_probs) summed over each stream's own frames; only `log_probs` is moved. (B, T', V) each, (B,)."""
    inside = torch.arange(log_probs.shape[1], device=lengths.device) < lengths[:, None]
    return torch.nn.functional.kl_div(log_probs[inside], target.detach()[inside], reduction="sum", log_target=True)


def total_loss(config: AcousticConfig, losses: dict[str, Tensor], encoded: Encoded) -> Tensor:
    """The heads' losses, weighted as the model's config says; a nothing with gradients where no text is known."""
    if not losses:
        return torch.stack([log_probs.sum() for log_probs in encoded.log_probs.values()]).sum() * 0.0
    return torch.stack([config.heads[head].weight * loss for head, loss in losses.items()]).sum()
