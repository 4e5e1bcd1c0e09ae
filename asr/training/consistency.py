"""Consistency of two views of the same speech, masked differently, as a term of the loss.

Each frame's tokens in one view are pulled to those in the other, which stands still: what can be said of one view only
is learnt less than what can be said of both. It regularises where the data are few.

CR-CTC: Yao et al. 2025 (arXiv:2410.05101), there with weight 0.2 and some 2.5 times as much of the time masked.
"""

import torch
from torch import Tensor

from asr.model.acoustic import AcousticConfig, Encoded
from asr.training.loss import kl_divergence, label_count


def disagreement(config: AcousticConfig, encoded: Encoded, targets: dict[str, list[list[int] | None]]) -> Tensor:
    """½ KL(b ‖ a) + ½ KL(a ‖ b), summed over frames, a label; heads weighed as their CTC losses are.

    The batch's first half are the views a, its second half the views b of the same streams. Streams of unknown text
    count too.
    """
    half = len(encoded.lengths) // 2
    lengths, terms = encoded.lengths[:half], list[Tensor]()
    for head, log_probs in encoded.log_probs.items():
        a, b = log_probs[:half], log_probs[half:]
        apart = 0.5 * (kl_divergence(a, b, lengths) + kl_divergence(b, a, lengths))
        terms.append(config.heads[head].weight * apart / label_count(lengths, targets[head][:half]))
    return torch.stack(terms).sum()
