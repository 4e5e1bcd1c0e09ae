"""What a training run is at a step, on disk and back: weights, their average, the optimiser, counters.

No pickle.
"""

import json
import shutil
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor, nn

from asr.errors import CheckpointError
from asr.model.acoustic import AcousticModel
from asr.writing import whole_folder

M = TypeVar("M", bound=nn.Module)


@dataclass
class RunState(Generic[M]):
    """What every run remembers. `epoch` and `batch` say which batch is next; `step` counts updates."""

    model: M
    average: M
    optimiser: torch.optim.AdamW
    step: int = 0
    epoch: int = 0
    batch: int = 0

    def counters(self) -> list[str]:
        """The fields that are plain numbers."""
        return [field.name for field in fields(self) if field.name not in ("model", "average", "optimiser")]

    def follow(self, keep: float) -> None:
        """Move the exponential average after an update; warmed up, so that the first steps do not linger."""
        keep = min(keep, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.model.parameters()), 1 - keep)


@dataclass
class TrainingState(RunState[AcousticModel]):
    """The whole memory of an acoustic model's run."""

    hours: float = 0.0
    best_wer: float = float("inf")


def save_state(state: RunState[Any], folder: Path) -> None:
    """Write the state's folder, whole or not at all. Raises AsrError where it cannot be written; older states stay."""
    tensors = {f"model.{name}": x for name, x in state.model.state_dict().items()}
    tensors |= {f"average.{name}": x for name, x in state.average.state_dict().items()}
    for index, moments in state.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{name}": x for name, x in moments.items()}
    counters = {name: getattr(state, name) for name in state.counters()}
    packed = save({name: x.detach().cpu().contiguous() for name, x in tensors.items()})
    with whole_folder(folder, advice="make room and run again: it goes on from the last state") as new:
        (new / "state.safetensors").write_bytes(packed)
        (new / "state.json").write_text(json.dumps(counters), encoding="utf-8")


def save_newest(state: RunState[Any], run: Path, keep: int) -> None:
    """Write `step-N/` into a run's folder and drop all but the newest `keep`."""
    save_state(state, run / f"step-{state.step}")
    for old in sorted(_saved(run), key=_step_of)[:-keep] + list(run.glob(".step-*")):  # those: saves that died
        shutil.rmtree(old)


def load_state(state: RunState[Any], folder: Path) -> None:
    """Fill a fresh state in place. Raises CheckpointError."""
    try:
        tensors = load_file(folder / "state.safetensors")
        counters: dict[str, Any] = json.loads((folder / "state.json").read_text(encoding="utf-8"))
        state.model.load_state_dict(_under(tensors, "model."))
        state.average.load_state_dict(_under(tensors, "average."))
        numbers = {name: counters[name] + 0 for name in state.counters()}
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, TypeError) as error:
        remedy = "where it is damaged, take it away: the run goes on from the one before it"
        raise CheckpointError(folder, f"cannot be resumed from: {error}; {remedy}") from error
    moments: dict[int, dict[str, Tensor]] = {}
    for name, x in _under(tensors, "optimiser.").items():
        index, _, moment = name.partition(".")
        moments.setdefault(int(index), {})[moment] = x
    groups = state.optimiser.state_dict()["param_groups"]
    state.optimiser.load_state_dict({"state": moments, "param_groups": groups})
    for name, number in numbers.items():
        setattr(state, name, number)


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): x for name, x in tensors.items() if name.startswith(prefix)}


def newest_state(folder: Path) -> Path | None:
    """The last step saved under a run's folder, or None."""
    return max(_saved(folder), key=_step_of, default=None)


def _saved(folder: Path) -> list[Path]:
    """Not what a person put beside them, such as step-100-copy."""
    return [path for path in folder.glob("step-*") if path.name.removeprefix("step-").isdecimal()]


def _step_of(path: Path) -> int:
    return int(path.name.partition("-")[2])
