"""How weights lie on disk: as they are, in 16 bit, or matrices in 8 bit with a scale for each row."""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

Storage = Literal["fp32", "fp16", "int8"]
_SCALE = "scale of "


def packed(weights: Mapping[str, Tensor], storage: Storage) -> dict[str, Tensor]:
    """What is written. int8: rows of matrices are divided by their largest value / 127 and rounded; the rest fp16."""
    kept: dict[str, Tensor] = {}
    for name, x in weights.items():
        if storage == "fp32":
            kept[name] = x
        elif storage == "fp16" or x.dim() != 2:
            kept[name] = x.half()
        else:
            kept |= in_8_bit(name, x, x.abs().amax(dim=1, keepdim=True).clamp_min(1e-12) / 127)
    return {name: x.detach().cpu().contiguous() for name, x in kept.items()}


def in_8_bit(name: str, x: Tensor, scale: Tensor) -> dict[str, Tensor]:
    """(R, …) as whole multiples of its rows' scales (R, 1, …), and the scales beside them."""
    return {name: (x / scale).round().clamp(-127, 127).to(torch.int8), _SCALE + name: scale}


def unpacked(kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `packed` or `in_8_bit` was given, as fp32, within rounding."""
    return {
        name: x.float() * kept[_SCALE + name] if x.dtype == torch.int8 else x.float()
        for name, x in kept.items()
        if not name.startswith(_SCALE)
    }
