"""Convolutions that shorten time: T frames become T' = ⌈T / 4⌉, four times as long (or ⌈T / 8⌉, eight times)."""

from itertools import pairwise

import torch
from torch import Tensor, nn


def mask(x: Tensor, lengths: Tensor) -> Tensor:
    """Set everything beyond each stream's length to zero. x: (B, T, …), lengths: (B,)."""
    inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
    return x * inside.view(*inside.shape, *[1] * (x.dim() - 2)).to(x.dtype)


class Subsampling(nn.Module):
    """Stride-2 convolutions over time and frequency. Beyond a stream's ends it sees zeros, whoever keeps it company."""

    def __init__(self, *, bins: int, channels: int, factor: int) -> None:
        super().__init__()
        halvings = factor.bit_length() - 1
        sizes = [1] + [channels] * halvings
        self.convolutions = nn.ModuleList(
            nn.Conv2d(i, o, kernel_size=3, stride=2, padding=1) for i, o in pairwise(sizes)
        )
        self.factor = factor
        self.size = channels * -(-bins // factor)

    def lengths(self, frames: Tensor) -> Tensor:
        """T -> T'."""
        return (frames + self.factor - 1) // self.factor

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """(B, T, F), (B,) -> (B, T', channels · F'), (B,)."""
        x = mask(x, lengths)[:, None]
        for convolution in self.convolutions:
            x = torch.relu(convolution(x))
            lengths = (lengths + 1) // 2
            x = mask(x.transpose(1, 2), lengths).transpose(1, 2)
        return x.permute(0, 2, 1, 3).flatten(2), lengths
