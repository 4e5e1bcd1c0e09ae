"""The training loop: a run is begun or resumed, goes on step by step, is measured on dev, and leaves bundles behind.

A run's folder holds `step-N/` (to resume from, exactly), `best/` and `last/` (bundles of the averaged weights),
`log.jsonl` and TensorBoard's files.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from asr.data.batches import Batch, ClipStore, TrainingBatches, gather_examples, load_batches, plan_epoch
from asr.data.batches import read_training_audio as read_audio
from asr.data.manifest import Example, read_manifest
from asr.errors import ConfigError
from asr.features.spectral import extract
from asr.model.acoustic import AcousticModel, Encoded
from asr.model.bundle import Bundle, load_bundle, save_bundle
from asr.model.units import Units, build_units, load_units, save_units
from asr.training.config import TrainingConfig, trains_in_bf16
from asr.training.consistency import disagreement
from asr.training.coverage import Coverage, coverage
from asr.training.discriminative import SequenceLoss
from asr.training.failures import Failures, log_line
from asr.training.interrupting import deferred_interrupt
from asr.training.loss import ctc_losses, total_loss
from asr.training.parallel import Group
from asr.training.state import TrainingState, load_state, newest_state, save_newest
from asr.training.validation import greedy_wer
from asr.training.windowed import divergence, encode_windowed


@dataclass(frozen=True)
class Progress:
    """What a run says after each step."""

    step: int
    total_steps: int
    epoch: int
    losses: dict[str, float]
    rate: float
    gradient_norm: float
    hours: float  # of audio trained on so far
    speed: float  # audio seconds a wall second, over this step
    stopped: bool  # Ctrl-C: this was the last step
    dev_wer: float | None = None  # percent, greedy, where it was just measured


class TrainingRun:
    """One run in one folder. `advance` makes one step; `run` makes all that are left."""

    def __init__(self, config: TrainingConfig, folder: Path, *, device: str = "cpu") -> None:
        torch.manual_seed(config.seed)
        self.config, self.folder, self.device = config, folder, torch.device(device)
        self.group = Group.current()
        self.bf16 = trains_in_bf16(config.precision, self.device)
        folder.mkdir(parents=True, exist_ok=True)
        initial = None if config.initial is None else load_bundle(config.initial)
        self.units = self._units() if initial is None else initial.units
        self.noises = ClipStore(config.data.noise)
        self.rooms = ClipStore(config.data.rooms, config.data.longest_room_s)
        against = config.discriminative
        self.sequences: SequenceLoss | None = None
        if against:
            self.sequences = SequenceLoss(against, self.units[config.model.heads[against.head].units], folder)
        self.state = self._begin(initial)
        self.failures = Failures(folder)
        self._batches: Iterator[Batch] = iter(())
        self._left = 0

    def run(self, report: Callable[[Progress], None], *, stop: Callable[[], bool] = lambda: False) -> None:
        """All steps to the end, saved and measured on the way. Ctrl-C, or `stop`, ends the step, saves and raises on.

        A kill loses at most `save_every` steps. In a group, the first process alone measures, saves and reports.
        """
        total = self.config.optimiser.total_steps
        with deferred_interrupt() as interrupted:
            while self.state.step < total:
                progress = self.advance(stop=interrupted.is_set() or stop())
                if self.group.leads:
                    self._keep(progress, report)
                if progress.stopped:
                    raise KeyboardInterrupt

    def _keep(self, progress: Progress, report: Callable[[Progress], None]) -> None:
        ended = self.state.step == self.config.optimiser.total_steps
        if ended or self.state.step % self.config.evaluate_every == 0:
            progress = dataclasses.replace(progress, dev_wer=self.measure())
        if ended or progress.stopped or self.state.step % self.config.save_every == 0:
            self.save()
        report(progress)
        self._log(progress)

    def advance(self, *, stop: bool = False) -> Progress:
        """One step: the next batch, its loss, an update of the weights and of their average.

        `stop`: this process was asked to; `stopped` of the progress tells whether any of its group was.
        """
        began = time.perf_counter()
        batch = self._next_batch()
        self.group.seed_step(self.config.seed, self.state.step)
        rate = self.config.optimiser.rate_at(self.state.step)
        for group in self.state.optimiser.param_groups:
            group["lr"] = rate
        self.state.model.train()
        losses, loss = self._losses(batch)
        self.state.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        stopped = self.group.average_gradients(self.state.model.parameters(), stop=stop)
        norm = torch.nn.utils.clip_grad_norm_(self.state.model.parameters(), self.config.optimiser.clip_norm)
        if self.failures.counted(torch.isfinite(norm)):
            self.state.optimiser.step()
            self.state.follow(self.config.optimiser.average)
        self.state.step += 1
        seconds = batch.seconds * self.group.size  # the others' batches are of like size
        self.state.hours += seconds / 3600
        return Progress(
            step=self.state.step,
            total_steps=self.config.optimiser.total_steps,
            epoch=self.state.epoch,
            losses={head: float(value.detach()) for head, value in losses.items()},
            rate=rate,
            gradient_norm=float(norm),
            hours=self.state.hours,
            stopped=stopped,
            speed=seconds / (time.perf_counter() - began),
        )

    def measure(self) -> float | None:
        """Greedy WER (percent) of the averaged weights on dev; the best so far is kept as `best/`."""
        if self.config.data.dev is None:
            return None
        wer = greedy_wer(self.bundle(), read_manifest(self.config.data.dev), device=self.device, bf16=self.bf16)
        if wer < self.state.best_wer:
            self.state.best_wer = wer
            save_bundle(self.bundle(), self.folder / "best")
        return wer

    def save(self) -> None:
        """Write `step-N/` and `last/`; drop the oldest states."""
        save_newest(self.state, self.folder, self.config.keep)
        save_bundle(self.bundle(), self.folder / "last")

    def bundle(self) -> Bundle:
        """The averaged weights with their features and units."""
        metrics = {"steps": self.state.step, "hours_seen": self.state.hours, "best_dev_wer": self.state.best_wer}
        return Bundle(self.state.average, self.config.features, self.units, metrics=metrics)

    def coverage(self) -> Coverage:
        """What of the training data is not learnt from. Raises ConfigError where no text can be written at all."""
        examples = [x for manifest in self.config.data.train for x in read_manifest(manifest)]
        features = self.config.features
        rate = features.sample_rate / features.hop / self.config.model.subsampling
        found = coverage(examples, self.units, self.config.data.batches, frames_per_s=rate)
        if all(x.unwritable == found.seen > 0 for x in found.texts.values()):
            such = "; ".join(found.sentences(self.config.data.batches))
            raise ConfigError("data.train", f"expected texts that the run's units can write, found none: {such}")
        return found

    def _begin(self, initial: Bundle | None) -> TrainingState:
        heads = self.config.model.heads
        model = AcousticModel(
            self.config.model, {name: len(self.units[head.units].tokens) for name, head in heads.items()}
        )
        if initial is None:
            set_normalisation(model, self.config, self._epoch(1)[1])
        else:
            _start_from(model, initial)
        model.to(self.device)
        optimiser = torch.optim.AdamW(
            model.parameters(), weight_decay=self.config.optimiser.weight_decay, betas=(0.9, 0.98)
        )
        state = TrainingState(model, copy.deepcopy(model).eval(), optimiser)
        saved = newest_state(self.folder)
        if saved is not None:
            load_state(state, saved)
        return state

    def _units(self) -> dict[str, Units]:
        """The units of every head: the folder's, where a run began before, else new ones from the training text."""
        folder = self.folder / "units"
        kinds = sorted({head.units for head in self.config.model.heads.values()})
        if self.group.leads and not folder.exists():
            texts = [x.text for manifest in self.config.data.train for x in read_manifest(manifest) if x.text]
            made = {kind: build_units(kind, texts, self.config.data.subwords) for kind in kinds}
            folder.mkdir()
            for kind, units in made.items():
                save_units(units, folder, kind)
        self.group.wait()
        return {kind: load_units(folder, kind) for kind in kinds}

    def _epoch(self, epoch: int) -> tuple[list[list[int]], list[Example], int]:
        sources = list(self.config.data.train.items())
        examples = gather_examples(sources, seed=self.config.seed, epoch=epoch)
        plan = self.group.share(plan_epoch(examples, self.config.data.batches, seed=self.config.seed, epoch=epoch))
        return plan, examples, len(plan)

    def _next_batch(self) -> Batch:
        if self._left == 0:
            self._open_epoch()
        self._left -= 1
        self.state.batch += 1
        return next(self._batches)

    def _open_epoch(self) -> None:
        plan, examples, size = self._epoch(self.state.epoch)
        while self.state.batch >= size:
            if not size and self.state.epoch:
                raise ConfigError(
                    "data.train",
                    f"expected a batch for each of {self.group.size} processes from recordings of "
                    f"{self.config.data.batches.shortest:g} to {self.config.data.batches.longest:g} s, found too few",
                )
            self.state.epoch, self.state.batch = self.state.epoch + 1, 0
            plan, examples, size = self._epoch(self.state.epoch)
        augmented = self.state.epoch >= self.config.augment_from_epoch
        batches = TrainingBatches(
            examples=examples,
            plan=plan,
            units=self.units,
            features=self.config.features,
            augmentation=self.config.augmentation if augmented else None,
            noises=self.noises,
            rooms=self.rooms,
            mean=self.state.model.mean.cpu(),
            seed=(self.config.seed, self.state.epoch),
            two_views=augmented and self.config.consistency > 0,
        )
        self._batches = load_batches(batches, self.state.batch, self.config.data.workers)
        self._left = size - self.state.batch

    def _losses(self, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Each head's loss, of the full pass or of windows; all together, with what pulls windows or two views."""
        model, features, lengths = self.state.model, batch.features.to(self.device), batch.lengths.to(self.device)
        targets = {name: batch.targets[head.units] for name, head in self.config.model.heads.items()}
        options = self.config.windowed
        windows = options.draw(seed=self.config.seed, step=self.state.step) if options else None
        if windows is None and batch.masked_again is not None:
            features, lengths = torch.cat([features, batch.masked_again.to(self.device)]), lengths.repeat(2)
            targets = {name: labels * 2 for name, labels in targets.items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            with torch.set_grad_enabled(windows is None):  # beside windows the full pass is only looked up to
                encoded = model(features, lengths)
            windowed = encode_windowed(model, features, lengths, windows) if windows else None
        if windowed is not None and options is not None:
            losses = self._head_losses(windowed, targets)
            pull = options.pull * divergence(windowed, encoded)
            return losses, total_loss(self.config.model, losses, windowed) + pull
        losses = self._head_losses(encoded, targets)
        loss = total_loss(self.config.model, losses, encoded)
        if batch.masked_again is None:
            return losses, loss
        return losses, loss + self.config.consistency * disagreement(self.config.model, encoded, targets)

    def _head_losses(self, encoded: Encoded, targets: dict[str, list[list[int] | None]]) -> dict[str, Tensor]:
        losses = ctc_losses(encoded, targets)
        return losses if self.sequences is None else self.sequences.added_to(losses, encoded, targets)

    def _log(self, progress: Progress) -> None:
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(log_line(progress))


def _start_from(model: AcousticModel, initial: Bundle) -> None:
    try:
        model.load_state_dict(initial.model.state_dict())
    except RuntimeError as error:
        raise ConfigError("initial", f"expected a bundle of the network that `model` describes: {error}") from error


def set_normalisation(model: AcousticModel, config: TrainingConfig, examples: list[Example], sample: int = 300) -> None:
    """Store the mean and deviation of each band over a sample of the training recordings."""
    step = max(1, len(examples) // sample)
    frames = torch.cat([extract(config.features, torch.from_numpy(read_audio(x.audio))) for x in examples[::step]])
    model.mean.copy_(frames.mean(0))
    model.deviation.copy_(frames.std(0).clamp_min(1e-3))
