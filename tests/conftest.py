"""What tests share: quiet threads, seeds, small models and signals."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pytest
import torch
from hypothesis import settings

from asr.model.acoustic import AcousticConfig, AcousticModel, HeadConfig
from asr.model.units import ListedUnits, Units

settings.register_profile("asr", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("asr")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
    torch.set_num_threads(1)


def noise(samples: int, seed: int = 0) -> torch.Tensor:
    """White noise at a third of full scale: (S,)."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.3, samples).clip(-1, 1).astype(np.float32))


def small_config(**changes: object) -> AcousticConfig:
    """A network of some thousand weights with a character and a phoneme head."""
    heads = {"character": HeadConfig("character", 2), "phoneme": HeadConfig("phoneme", 1, 0.5)}
    shape: dict[str, object] = {"layers": 2, "hidden": 12, "channels": 4, "dropout": 0.0, "heads": heads}
    return AcousticConfig(**(shape | changes))  # type: ignore[arg-type]


def small_units() -> dict[str, Units]:
    """Characters and phonemes."""
    return {"character": ListedUnits.characters(["abcdefghijklmnopqrstuvwxyz'"]), "phoneme": ListedUnits.phonemes()}


def small_model(**changes: object) -> AcousticModel:
    """`small_config` with random weights, ready to run."""
    config, units = small_config(**changes), small_units()
    return AcousticModel(config, {name: len(units[head.units].tokens) for name, head in config.heads.items()}).eval()
