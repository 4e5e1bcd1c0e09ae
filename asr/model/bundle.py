"""The checkpoint bundle: a folder with all that a model needs, checked whole on load. No pickle is ever read.

config.yaml          format, feature and model settings, SHA-256 of the other files
weights.safetensors  the network, in 32, 16 or 8 bit
<units>.model/.txt   the tokens of each head
CARD.md, metrics.json  what it is and what was measured
attachments          whatever else its decoder needs: decoding.yaml, a lexicon, a language model
"""

import dataclasses
import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors import SafetensorError
from safetensors.torch import load, save

from asr.errors import AsrError, CheckpointError, ConfigError
from asr.features.spectral import FeatureConfig
from asr.model.acoustic import AcousticConfig, AcousticModel
from asr.model.storage import Storage, packed, unpacked
from asr.model.units import Units, load_units, save_units
from asr.settings import make_settings
from asr.writing import whole_folder

FORMAT = 1
CONFIG, WEIGHTS = "config.yaml", "weights.safetensors"
_UNCHECKED = ("CARD.md", "metrics.json")  # for people: may be edited


@dataclass(frozen=True, eq=False)
class Bundle:
    """A model with its features and units; `units` by kind ("subword", "phoneme")."""

    model: AcousticModel
    features: FeatureConfig
    units: dict[str, Units]
    card: str = ""
    metrics: dict[str, Any] = dataclasses.field(default_factory=dict)
    attachments: dict[str, Path] = dataclasses.field(default_factory=dict)  # name in the bundle -> where it lies


@dataclass(frozen=True)
class _Config:
    format: int
    features: FeatureConfig
    model: AcousticConfig
    files: dict[str, str]


def refuse_to_replace(folder: Path) -> None:
    """Raises ConfigError where something lies that is no model: to write one there would delete it."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not all((folder / name).is_file() for name in (CONFIG, WEIGHTS)):
        raise ConfigError(folder, "expected a new folder or a model to replace; other things are there, which stay")


def save_bundle(bundle: Bundle, folder: Path, *, storage: Storage = "fp32") -> None:
    """Write all files, or none. `storage`: smaller weights, for a product."""
    refuse_to_replace(folder)
    with whole_folder(folder) as new:
        for kind, units in bundle.units.items():
            save_units(units, new, kind)
        (new / WEIGHTS).write_bytes(save(packed(bundle.model.state_dict(), storage)))
        for name, path in bundle.attachments.items():
            shutil.copyfile(path, new / name)
        (new / "CARD.md").write_text(bundle.card, encoding="utf-8")
        (new / "metrics.json").write_text(json.dumps(bundle.metrics, indent=1) + "\n", encoding="utf-8")
        config = {
            "format": FORMAT,
            "features": dataclasses.asdict(bundle.features),
            "model": dataclasses.asdict(bundle.model.config),
            "files": {path.name: _digest(path) for path in sorted(new.iterdir()) if path.name not in _UNCHECKED},
        }
        (new / CONFIG).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")


def load_bundle(folder: Path) -> Bundle:
    """Read and check everything. The model is in fp32, in evaluation mode, on the CPU. Raises CheckpointError."""
    config = _read_config(folder)
    for name, digest in config.files.items():
        _check_file(folder / name, digest)
    kinds = sorted({head.units for head in config.model.heads.values()})
    units = {kind: load_units(folder, kind) for kind in kinds}
    sizes = {name: len(units[head.units].tokens) for name, head in config.model.heads.items()}
    own = {WEIGHTS, *(f"{kind}{suffix}" for kind in kinds for suffix in (".model", ".txt"))}
    model = AcousticModel(config.model, sizes)
    _load_weights(model, folder / WEIGHTS)
    card, metrics = folder / "CARD.md", folder / "metrics.json"
    return Bundle(
        model=model.eval(),
        features=config.features,
        units=units,
        card=card.read_text(encoding="utf-8") if card.exists() else "",
        metrics=json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else {},
        attachments={name: folder / name for name in config.files if name not in own},
    )


def read_configs(folder: Path) -> tuple[FeatureConfig, AcousticConfig]:
    """What a bundle's frames and its network are, without the weights. Raises CheckpointError."""
    config = _read_config(folder)
    return config.features, config.model


def frame_seconds(features: FeatureConfig, model: AcousticConfig) -> float:
    """From one output frame to the next."""
    return features.hop * model.subsampling / features.sample_rate


def _read_config(folder: Path) -> _Config:
    path = folder / CONFIG
    if not folder.is_dir():
        raise CheckpointError(folder, "expected a model bundle, a folder; there is none")
    if not path.exists():
        raise CheckpointError(folder, f"expected a model bundle; {CONFIG} is missing, so this is some other folder")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict) or values.get("format") != FORMAT:
            raise CheckpointError(path, f"expected format {FORMAT}; this bundle is foreign or from another version")
        config = make_settings(_Config, values, where=str(path))
    except CheckpointError:
        raise
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AsrError) as error:
        raise CheckpointError(path, f"damaged: {error}") from error
    if WEIGHTS not in config.files:
        raise CheckpointError(path, f"damaged: {WEIGHTS} is not among its files")
    return config


def _check_file(path: Path, digest: str) -> None:
    if not path.exists():
        raise CheckpointError(path, "missing from the bundle; copy the bundle again")
    if _digest(path) != digest:
        raise CheckpointError(
            path, "damaged: its contents are not those that config.yaml was written for; copy it again"
        )


def _load_weights(model: AcousticModel, path: Path) -> None:
    try:
        weights = unpacked(load(path.read_bytes()))
        model.load_state_dict(weights)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise CheckpointError(path, f"its weights do not fit config.yaml: {error}") from error
    for name, x in weights.items():
        if not torch.isfinite(x).all():
            raise CheckpointError(path, f"{name} holds values that are not finite; the training run diverged")


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
