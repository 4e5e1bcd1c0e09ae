"""Where and how precisely a model runs: device, precision, threads."""

import os
from typing import Literal

import torch

from asr.errors import ConfigError

Precision = Literal["fp32", "bf16", "int8"]


def choose_device(name: str) -> torch.device:
    """auto: CUDA, else Apple's MPS, else the CPU. Raises ConfigError for a device that this machine lacks."""
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if name not in available:
        raise ConfigError("device", f"expected auto, cpu, cuda or mps, got {name!r}")
    if not available[name]:
        raise ConfigError("device", f"this machine has no {name}; use --device auto")
    return torch.device(name)


def choose_precision(name: str, device: torch.device) -> Precision:
    """auto: what is fastest without loss: int8 on the CPU, bf16 on CUDA, fp32 on MPS. Raises ConfigError."""
    if name == "auto":
        return {"cpu": "int8", "cuda": "bf16"}.get(device.type, "fp32")  # type: ignore[return-value]
    if name not in ("fp32", "bf16", "int8"):
        raise ConfigError("precision", f"expected auto, fp32, bf16 or int8, got {name!r}")
    if name == "int8" and device.type != "cpu":
        raise ConfigError("precision", f"int8 runs on the CPU only, not on {device.type}; use bf16")
    return name  # type: ignore[return-value]


def set_threads() -> None:
    """As many threads as the cores this process may use.

    Two processes on two cores do not fight if threads wait without spinning.
    """
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)
