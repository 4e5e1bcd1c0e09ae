"""Greedy word error rate on a manifest, while training."""

import jiwer
import torch

from asr.data.batches import read_training_audio
from asr.data.manifest import Example
from asr.decoding.greedy import decode_greedily
from asr.features.spectral import extract
from asr.model.acoustic import text_head
from asr.model.bundle import Bundle


def greedy_wer(bundle: Bundle, examples: list[Example], *, device: torch.device, bf16: bool, batch: int = 16) -> float:
    """Percent, of the first head that writes text (subword or character)."""
    head = text_head(bundle.model.config)
    units = bundle.units[bundle.model.config.heads[head].units]
    by_length = sorted((x for x in examples if x.text), key=lambda x: x.duration)
    hypotheses: list[str] = []
    with torch.inference_mode(), torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        for first in range(0, len(by_length), batch):
            chosen = by_length[first : first + batch]
            frames = [extract(bundle.features, torch.from_numpy(read_training_audio(x.audio))) for x in chosen]
            padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True).to(device)
            lengths = torch.tensor([len(x) for x in frames], device=device)
            encoded = bundle.model(padded, lengths, (head,))
            tokens = decode_greedily(encoded.log_probs[head], encoded.lengths)
            hypotheses.extend(units.decode([token.id for token in x]) for x in tokens)
    return 100 * float(jiwer.wer([x.text for x in by_length], hypotheses))
