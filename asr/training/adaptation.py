"""A model made at home in somebody's own recordings: what is trained on, what is held out, and for how long.

The network goes on from the bundle's weights on the own recordings and, where there are any, on as many seconds of
general ones (replay: Robins 1995), so that it does not forget everybody else. A share of the own recordings is held
out and never trained on: it says what the adaptation is worth.
"""

import dataclasses
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path

import soundfile

from asr.audio.reader import SAMPLE_RATE
from asr.data.batches import BatchConfig
from asr.errors import AsrError, ConfigError, ManifestError
from asr.evaluation.datasets.reference import Problem, Reference
from asr.evaluation.normalise import basic
from asr.evaluation.transcribing import samples_of
from asr.features.augmentation import AugmentationConfig
from asr.model.bundle import Bundle
from asr.model.units import Units
from asr.training.config import DataConfig, OptimiserConfig, TrainingConfig
from asr.writing import whole_file


@dataclass(frozen=True)
class AdaptConfig:
    """How long, how fast, and what is held out."""

    passes: float = 10.0  # over the own recordings
    least_steps: int = 60
    most_steps: int = 3000
    rate: float = 3.0e-4  # of the optimiser at its highest: the last rate that the default model was trained with
    batch_s: float = 50.0
    longest_s: float = 20.0  # longer recordings are left out: training sees none in one piece
    held_share: float = 0.15  # of the own recordings, at most `held_most` of them
    held_most: int = 200
    seed: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.held_share < 1 and 0 < self.passes < inf and 0 < self.rate < inf):
            raise ConfigError("asr adapt", "expected a held-out share between 0 and 1, passes and rate above 0")

    def steps(self, own_s: float, general_s: float) -> int:
        """Enough for all passes over the own recordings, with the general ones between."""
        wanted = round(self.passes * (own_s + min(own_s, general_s)) / self.batch_s)
        return min(self.most_steps, max(self.least_steps, wanted))


def held_out(
    references: Sequence[Reference], config: AdaptConfig, *, where: str
) -> tuple[list[Reference], list[Reference]]:
    """References to train on and references held out: by their names, so the same ones whenever it is asked.

    Raises ManifestError where there are too few to hold any out.
    """
    if len(references) < 4:
        raise ManifestError(
            where, f"expected at least 4 recordings, to train on some and test on others; got {len(references)}"
        )
    ranked = sorted(references, key=lambda x: hashlib.sha256(os.fsencode(x.id)).digest())
    count = max(1, min(config.held_most, round(config.held_share * len(ranked))))
    chosen = {x.id for x in ranked[:count]}
    return [x for x in references if x.id not in chosen], [x for x in references if x.id in chosen]


def share_of(references: Sequence[Reference], seconds: float) -> list[Reference]:
    """As many of the references, drawn by their names, as last about `seconds` (4 s each where that is not known)."""
    chosen: list[Reference] = []
    for reference in sorted(references, key=lambda x: hashlib.sha256(b"replay" + os.fsencode(x.id)).digest()):
        if seconds <= 0:
            break
        chosen.append(reference)
        seconds -= reference.duration_s or 4.0
    return chosen


@dataclass(frozen=True)
class Prepared:
    """A manifest of 16 kHz WAV files, what they last altogether, and what could not be used."""

    manifest: Path
    seconds: float
    texts: tuple[str, ...]
    problems: tuple[Problem, ...]


def prepare(references: Iterable[Reference], folder: Path, units: Iterable[Units], config: AdaptConfig) -> Prepared:
    """Recordings and texts as training reads them, under `folder`; run again, it decodes nothing twice."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds, rows, problems, total = list(units), list[dict[str, object]](), list[Problem](), 0.0
    for reference in references:
        text = basic(reference.text)
        path = folder / f"{hashlib.sha256(os.fsencode(reference.id)).hexdigest()[:16]}.wav"
        try:
            seconds = _decoded(reference, path)
        except AsrError as error:
            problems.append(Problem("failed", reference.id, str(error)))
            continue
        reason = _reason(text, seconds, kinds, config)
        if reason:
            problems.append(Problem("unusable", reference.id, reason))
            continue
        rows.append({"audio_filepath": path.name, "duration": seconds, "text": text})
        total += seconds
    manifest = folder / "manifest.jsonl"
    manifest.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return Prepared(manifest, total, tuple(str(row["text"]) for row in rows), tuple(problems))


def _decoded(reference: Reference, path: Path) -> float:
    if not path.exists():
        samples = samples_of(reference)
        with whole_file(path) as part:
            soundfile.write(part, samples, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    return float(soundfile.info(path).duration)


def _reason(text: str, seconds: float, kinds: Sequence[Units], config: AdaptConfig) -> str | None:
    """Why a recording cannot be trained on; None where it can."""
    if not text:
        return "it has no words"
    if all(units.encode(text) is None for units in kinds):
        return f"expected words of letters a to z and apostrophes (numbers spelled out), got {text!r}"
    if seconds > config.longest_s:
        return f"{seconds:.0f} s is longer than {config.longest_s:.0f} s: cut it, by the times that `asr align` gives"
    return None if seconds >= BatchConfig.shortest else f"{seconds:.2f} s is too short"


def training_config(
    bundle: Bundle, initial: Path, own: Prepared, general: Prepared | None, config: AdaptConfig
) -> TrainingConfig:
    """The run: the bundle's network and features, a low rate, light augmentation, half of the seconds replayed.

    Raises ManifestError where nothing of the own recordings can be used.
    """
    if not own.texts:
        raise ManifestError(
            own.manifest, "none of the recordings can be trained on; each is named above with its reason"
        )
    sources = {own.manifest: 1.0}
    if general and general.texts:
        sources[general.manifest] = min(1.0, own.seconds / general.seconds)
    steps = config.steps(own.seconds, general.seconds if general else 0.0)
    warm = min(50, steps // 5)
    rate = OptimiserConfig(
        rate=config.rate, warmup_steps=warm, total_steps=steps, decay_steps=steps - warm, average=0.99
    )
    light = AugmentationConfig(
        speed_chance=0.3,
        noise_chance=0.0,
        room_chance=0.0,
        time_masks_per_s=0.3,
        time_mask_s=0.2,
        frequency_mask_bins=14,
    )
    batches = BatchConfig(seconds=config.batch_s, first_epoch_longest=config.longest_s, longest=config.longest_s)
    return TrainingConfig(
        data=DataConfig(train=sources, batches=batches),
        features=bundle.features,
        model=bundle.model.config,
        optimiser=rate,
        augmentation=light,
        augment_from_epoch=0,
        initial=initial,
        seed=config.seed,
        save_every=50,
        evaluate_every=steps + 1,
        keep=1,
    )


def fingerprint(config: TrainingConfig) -> str:
    """Of all settings and data of a run: another one must not go on in its folder."""
    texts = [manifest.read_text(encoding="utf-8") for manifest in config.data.train]
    return hashlib.sha256(json.dumps([str(dataclasses.asdict(config)), texts]).encode()).hexdigest()
