"""Batches for training: which examples go together, and their features.

The plan of an epoch is a pure function of the examples, the settings and the epoch's number, and each example's
augmentation is seeded by
(seed, epoch, place): so a run that stops and resumes sees exactly what an undisturbed one would.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from asr.data.manifest import Example, read_manifest, read_rows
from asr.errors import AudioError
from asr.features.augmentation import (
    AugmentationConfig,
    Samples,
    augment_samples,
    change_pace,
    change_voice,
    mask_features,
)
from asr.features.spectral import FeatureConfig, extract
from asr.model.units import Units


@dataclass(frozen=True)
class BatchConfig:
    """How an epoch is made up. Seconds of audio."""

    seconds: float = 100.0  # of a batch, padding included
    longest: float = 20.0  # longer utterances are left out
    shortest: float = 0.4
    first_epoch_longest: float = 5.0  # CTC takes off sooner on short utterances: epoch 0 holds no others
    pool: int = 2000  # utterances sorted by length together; a larger pool pads less and mixes less


@dataclass(frozen=True, eq=False)
class Batch:
    """Padded features (B, T, F), lengths (B,) in frames, and by kind of units each stream's tokens, None if unknown.

    `masked_again`: the same features under other masks, where the training asks for two views.
    """

    features: Tensor
    lengths: Tensor
    targets: dict[str, list[list[int] | None]]
    seconds: float
    masked_again: Tensor | None = None


def plan_epoch(examples: Sequence[Example], config: BatchConfig, *, seed: int, epoch: int) -> list[list[int]]:
    """Indices of each batch's examples: of like length together, in random order."""
    longest = config.first_epoch_longest if epoch == 0 else config.longest
    rng = np.random.default_rng([seed, epoch])
    usable = [i for i, example in enumerate(examples) if config.shortest <= example.duration <= longest]
    order = rng.permutation(usable)
    batches: list[list[int]] = []
    for first in range(0, len(order), config.pool):
        pool = sorted(order[first : first + config.pool].tolist(), key=lambda i: examples[i].duration)
        batches.extend(_cut(pool, examples, config.seconds))
    return [batches[i] for i in rng.permutation(len(batches))]


def _cut(pool: list[int], examples: Sequence[Example], seconds: float) -> Iterator[list[int]]:
    batch: list[int] = []
    for i in pool:
        if batch and examples[i].duration * (len(batch) + 1) > seconds:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch


class ClipStore:
    """Noises or room responses, decoded when first drawn and kept as 16-bit samples."""

    def __init__(self, manifest: Path | None, longest_room_s: float | None = None) -> None:
        self._paths = [] if manifest is None else [x.audio for x in _clips(manifest, longest_room_s)]
        self._kept: dict[int, np.ndarray[tuple[int], np.dtype[np.int16]]] = {}

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, index: int) -> Samples:
        if index not in self._kept:
            clip = np.clip(read_training_audio(self._paths[index]) * 32768, -32768, 32767)
            self._kept[index] = clip.astype(np.int16)
        samples: Samples = self._kept[index].astype(np.float32) / np.float32(32768)
        return samples


def _clips(manifest: Path, longest_room_s: float | None) -> list[Example]:
    """Those of the training split, rooms that do not ring longer. Raises ManifestError naming the line."""
    wanted = list[Example]()
    for example, row in read_rows(manifest):
        rings_s = row.get("t60_est") or row.get("t60_target") or 0.0
        if row.get("split", "train") == "train" and (longest_room_s is None or rings_s <= longest_room_s):
            wanted.append(example)
    return wanted


class TrainingBatches(Dataset[Batch]):
    """The batches of the epochs from one on, one after another; item k is batch k of the plan given."""

    def __init__(
        self,
        *,
        examples: Sequence[Example],
        plan: list[list[int]],
        units: dict[str, Units],
        features: FeatureConfig,
        augmentation: AugmentationConfig | None,
        noises: ClipStore,
        rooms: ClipStore,
        mean: Tensor,
        seed: tuple[int, int],
        two_views: bool = False,
    ) -> None:
        self._examples, self._plan, self._units = examples, plan, units
        self._features, self._augmentation = features, augmentation
        self._noises, self._rooms = noises, rooms
        self._mean, self._seed, self._views = mean, seed, 2 if two_views else 1

    def __len__(self) -> int:
        return len(self._plan)

    def __getitem__(self, index: int) -> Batch:
        chosen = [self._examples[i] for i in self._plan[index]]
        views = [self._frames(example, index, place) for place, example in enumerate(chosen)]
        lengths = torch.tensor([len(x[0]) for x in views])
        padded = [
            torch.nn.utils.rnn.pad_sequence(list(frames), batch_first=True) for frames in zip(*views, strict=True)
        ]
        targets = {name: [units.encode(x.text) for x in chosen] for name, units in self._units.items()}
        seconds = float(lengths.sum()) * self._features.hop / self._features.sample_rate
        return Batch(padded[0], lengths, targets, seconds, padded[1] if len(padded) > 1 else None)

    def _frames(self, example: Example, index: int, place: int) -> list[Tensor]:
        """The features of each view: the same sound, its voice changed and masked each time anew."""
        samples = read_training_audio(example.audio)
        if self._augmentation is None:
            return [extract(self._features, torch.from_numpy(samples))]
        rng = np.random.default_rng([*self._seed, index, place])
        samples = augment_samples(self._augmentation, samples, noises=self._noises, rooms=self._rooms, rng=rng)  # type: ignore[arg-type]
        frames = extract(self._features, torch.from_numpy(samples))
        frames = change_pace(self._augmentation, frames, rng)
        return [self._view(frames, rng) for _ in range(self._views)]

    def _view(self, frames: Tensor, rng: np.random.Generator) -> Tensor:
        assert self._augmentation is not None
        frames = change_voice(self._augmentation, self._features, frames, rng)
        return mask_features(self._augmentation, frames, self._mean, rng)


def read_training_audio(path: Path) -> Samples:
    """A 16 kHz mono recording, whole: (S,). Raises AudioError."""
    try:
        samples, rate = soundfile.read(path, dtype="float32")
    except (soundfile.LibsndfileError, OSError) as error:
        reason = error if path.exists() else "there is no such file"  # libsndfile: "System error."
        raise AudioError(path, f"expected training audio that can be read: {reason}") from error
    if rate != 16_000 or samples.ndim != 1 or not len(samples):
        raise AudioError(path, f"expected 16 kHz mono with samples in it, got {rate} Hz, shape {samples.shape}")
    if not np.isfinite(samples).all():
        raise AudioError(path, "expected numbers, got values that are not finite; export it again or take it out")
    return samples  # type: ignore[no-any-return]


def load_batches(batches: TrainingBatches, first: int, workers: int) -> Iterator[Batch]:
    """Batches `first`, `first` + 1, … made ahead by `workers` processes (0: in this one)."""
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=range(first, len(batches)),
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            worker_init_fn=_one_thread,
            generator=torch.Generator(),  # its own: the global one must not move, or a resumed run would differ
        )
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)


def gather_examples(sources: Sequence[tuple[Path, float]], *, seed: int, epoch: int) -> list[Example]:
    """Examples of each manifest, repeated by its weight; of a fraction, a random share, another one each epoch."""
    rng = np.random.default_rng([seed, epoch, 1])
    gathered: list[Example] = []
    for manifest, weight in sources:
        examples = read_manifest(manifest)
        gathered.extend(examples * int(weight))
        share = round((weight - int(weight)) * len(examples))
        gathered.extend(examples[i] for i in sorted(rng.choice(len(examples), share, replace=False).tolist()))
    return gathered
