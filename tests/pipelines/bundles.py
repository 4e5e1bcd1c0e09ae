"""A bundle with random weights that speaks nonsense, the same nonsense each time."""

from pathlib import Path

import torch

from asr.features.spectral import FeatureConfig
from asr.model.bundle import Bundle, save_bundle
from tests.conftest import small_model, small_units


def save_nonsense(folder: Path) -> Path:
    """Some thousand weights, scaled up so that tokens come out."""
    torch.manual_seed(3)
    model = small_model()
    model.mean.fill_(-9.0)
    model.deviation.fill_(4.0)
    with torch.no_grad():
        for head in model.heads.values():
            head.weight.mul_(8)
    save_bundle(Bundle(model, FeatureConfig(), small_units()), folder)
    return folder
