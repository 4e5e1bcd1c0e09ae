"""Greedy word error rate on a manifest, while training."""

import jiwer
import torch

from asr.data.batches import read_training_audio
from asr.data.manifest import Example
from asr.decoding.greedy import decode_greedily
from asr.features.spectral import extract
from asr.model.acoustic import text_head
from asr.model.bundle import Bundle


def greedy_wer(bundle: Bundle, examples: list[Example], *, device: torch.device, bf16: bool) -> float:
    """Percent, of the first head that writes text (subword or character)."""
    spoken = [x for x in examples if x.text]
    heard = heard_greedily(bundle, spoken, device=device, bf16=bf16)
    return 100 * float(jiwer.wer([x.text for x in spoken], heard))


def heard_greedily(
    bundle: Bundle, examples: list[Example], *, device: torch.device, bf16: bool, batch: int = 16
) -> list[str]:
    """What the first head that writes text hears in each recording, in their order."""
    head = text_head(bundle.model.config)
    units = bundle.units[bundle.model.config.heads[head].units]
    by_length = sorted(range(len(examples)), key=lambda i: examples[i].duration)
    heard = [""] * len(examples)
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for first in range(0, len(by_length), batch):
            chosen = by_length[first : first + batch]
            audio = [torch.from_numpy(read_training_audio(examples[i].audio)) for i in chosen]
            frames = [extract(bundle.features, x) for x in audio]
            padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True).to(device)
            lengths = torch.tensor([len(x) for x in frames], device=device)
            encoded = bundle.model(padded, lengths, (head,))
            for i, tokens in zip(chosen, decode_greedily(encoded.log_probs[head], encoded.lengths), strict=True):
                heard[i] = units.decode([token.id for token in tokens])
    return heard
