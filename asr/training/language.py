"""Training the recurrent language model: a run is begun or resumed, as `asr.training.loop` does for the acoustic one.

A run's folder holds `step-N/` (to resume from, exactly), `last.safetensors` (averaged weights, ready to use) and
`log.jsonl`.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from asr.errors import ConfigError
from asr.lm.counting import read_lines
from asr.lm.perplexity import recurrent_perplexity
from asr.lm.recurrent import BOUNDARY, LanguageModel, RecurrentLM, RecurrentLMConfig, save_language_model
from asr.lm.sentences import Places, Sentences
from asr.model.units import SubwordUnits, load_units
from asr.training.config import OptimiserConfig, check_precision, trains_in_bf16
from asr.training.failures import Failures, log_line
from asr.training.interrupting import deferred_interrupt
from asr.training.parallel import Group
from asr.training.state import RunState, load_state, newest_state, save_newest

MOST_MEASURED = 1000  # held-out sentences
Batches = list[list[list[int]]]  # of a pool: sentences, each with the boundary that ends it


@dataclass(frozen=True)
class LanguageTraining:
    """A run: text, units, network, optimiser. Paths are relative to the config file."""

    texts: list[Path]  # one sentence a line, plain or .xz
    units: Path  # a model bundle whose subwords are taken, or a folder of its subword.model
    model: RecurrentLMConfig = field(default_factory=RecurrentLMConfig)
    optimiser: OptimiserConfig = field(default_factory=lambda: OptimiserConfig(rate=3e-3, clip_norm=1.0))
    tokens: int = 3000  # in a batch, padding included
    longest: int = 120  # tokens of a sentence; the rest of a longer one is left out
    pool: int = 4096  # sentences that are drawn and sorted by length together
    held_out: int = 1000  # one line in so many is not trained on and measures perplexity
    precision: str = "auto"  # auto: bf16 where the hardware multiplies it, else fp32
    seed: int = 1
    save_every: int = 500  # steps
    evaluate_every: int = 500
    keep: int = 2  # checkpoints

    def __post_init__(self) -> None:
        check_precision(self.precision)
        if not self.texts:
            raise ConfigError("texts", "expected at least one text; there is nothing to train on")
        if self.tokens < self.longest:
            raise ConfigError("tokens", f"expected room for the longest sentence, {self.longest}, got {self.tokens}")


@dataclass
class LanguageState(RunState[RecurrentLM]):
    """`epoch`, `pool` and `batch` say which batch is next."""

    pool: int = 0
    trained_tokens: int = 0


@dataclass(frozen=True)
class LanguageProgress:
    """What a run says after each step."""

    step: int
    total_steps: int
    epoch: int
    loss: float  # nats a token
    rate: float
    gradient_norm: float
    trained_tokens: int
    speed: float  # tokens a second
    perplexity: float | None = None  # a word, of held-out sentences, where it was just measured


class LanguageRun:
    """One run in one folder. `advance` makes one step; `run` makes all that are left."""

    def __init__(self, config: LanguageTraining, folder: Path, *, device: str = "cpu") -> None:
        torch.manual_seed(config.seed)
        units = load_units(config.units, "subword")
        if not isinstance(units, SubwordUnits):
            raise ConfigError("units", f"expected the subword.model of a bundle in {config.units}")
        self.config, self.folder, self.units, self.device = config, folder, units, torch.device(device)
        self.bf16 = trains_in_bf16(config.precision, self.device)
        folder.mkdir(parents=True, exist_ok=True)
        self.sentences = Sentences(read_lines(config.texts))
        self.learned, held = self.sentences.split(config.held_out)
        if not len(self.learned):
            raise ConfigError("texts", "expected sentences, one a line, got none")
        if not any(self.units.encode(self.sentences[int(i)]) for i in self.learned):
            raise ConfigError("texts", "expected sentences that the units can write (a to z, apostrophe), got none")
        self.held = held[:: max(1, len(held) // MOST_MEASURED)]
        self.state = self._begin()
        self.failures = Failures(folder)
        self._batches: Iterator[list[list[int]]] | None = None
        self._maker = ThreadPoolExecutor(1)  # makes the next pool while this one is trained on
        self._ahead: dict[tuple[int, int], Future[Batches]] = {}  # by epoch and pool
        self._order: tuple[int, Places] = (-1, self.learned)  # of an epoch; the maker's alone

    def _begin(self) -> LanguageState:
        model = RecurrentLM(self.config.model, len(self.units.tokens)).to(self.device)
        optimiser = torch.optim.AdamW(
            model.parameters(), weight_decay=self.config.optimiser.weight_decay, betas=(0.9, 0.98)
        )
        average = copy.deepcopy(model).to(self.device).eval()  # moved: cuDNN wants a cell's weights in one piece again
        state = LanguageState(model, average, optimiser)
        saved = newest_state(self.folder)
        if saved is not None:
            load_state(state, saved)
        return state

    def run(self, report: Callable[[LanguageProgress], None]) -> None:
        """All steps to the end, saved and measured on the way. Ctrl-C ends the step, saves and raises on."""
        total = self.config.optimiser.total_steps
        with deferred_interrupt() as interrupted:
            while self.state.step < total:
                progress = self.advance()
                done = self.state.step == total
                if done or self.state.step % self.config.evaluate_every == 0:
                    progress = dataclasses.replace(progress, perplexity=self.measure())
                if done or interrupted.is_set() or self.state.step % self.config.save_every == 0:
                    self.save()
                report(progress)
                with (self.folder / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(log_line(progress))
                if interrupted.is_set():
                    raise KeyboardInterrupt

    def advance(self) -> LanguageProgress:
        """One step: the next batch, its loss, an update of the weights and of their average."""
        began = time.perf_counter()
        batch = self._next_batch()
        Group().seed_step(self.config.seed, self.state.step)
        optimiser, model = self.state.optimiser, self.state.model.train()
        rate = self.config.optimiser.rate_at(self.state.step)
        for group in optimiser.param_groups:
            group["lr"] = rate
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            loss = sentence_loss(model, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.optimiser.clip_norm)
        if self.failures.counted(torch.isfinite(norm)):
            optimiser.step()
            self.state.follow(self.config.optimiser.average)
        self.state.step += 1
        tokens = sum(map(len, batch))
        self.state.trained_tokens += tokens
        return LanguageProgress(
            step=self.state.step,
            total_steps=self.config.optimiser.total_steps,
            epoch=self.state.epoch,
            loss=float(loss.detach()),
            rate=rate,
            gradient_norm=float(norm),
            trained_tokens=self.state.trained_tokens,
            speed=tokens / (time.perf_counter() - began),
        )

    def measure(self) -> float | None:
        """Perplexity a word of the averaged weights on held-out sentences, or None without any."""
        held = [self.sentences[i] for i in self.held]
        return recurrent_perplexity(self.language_model(), held).including_unknown if held else None

    def save(self) -> None:
        """Write `step-N/` and `last.safetensors`; drop the oldest states."""
        save_newest(self.state, self.folder, self.config.keep)
        save_language_model(self.language_model(), self.folder / "last.safetensors")

    def language_model(self) -> LanguageModel:
        """The averaged weights with their units."""
        return LanguageModel(self.state.average, self.units)

    def _next_batch(self) -> list[list[int]]:
        """The plan is a function of the seed, the epoch and the pool: a resumed run draws what it would have drawn."""
        while True:
            if self._batches is None:
                self._batches = iter(self._take_pool()[self.state.batch :])
            batch = next(self._batches, None)
            if batch is not None:
                self.state.batch += 1
                return batch
            self._batches = None
            self.state.epoch, self.state.pool = self._following()
            self.state.batch = 0

    def _following(self) -> tuple[int, int]:
        """Epoch and pool after those of the state."""
        epoch, pool = self.state.epoch, self.state.pool + 1
        return (epoch, pool) if pool * self.config.pool < len(self.learned) else (epoch + 1, 0)

    def _take_pool(self) -> Batches:
        """The batches of the state's pool; those of the following one are made meanwhile."""
        here, following = (self.state.epoch, self.state.pool), self._following()
        made = (self._ahead.pop(here, None) or self._maker.submit(self._make_batches, *here)).result()
        self._ahead = {following: self._maker.submit(self._make_batches, *following)}
        return made

    def _make_batches(self, epoch: int, pool: int) -> Batches:
        """The batches of one pool: token sequences of like length, those that the units can write."""
        config, first = self.config, pool * self.config.pool
        if self._order[0] != epoch:
            self._order = epoch, np.random.default_rng([config.seed, epoch]).permutation(self.learned)
        texts = [self.sentences[i] for i in self._order[1][first : first + config.pool]]
        encoded = self.units.encode_all(texts, threads=torch.get_num_threads())
        usable = sorted(([*ids, BOUNDARY][: config.longest] for ids in encoded if ids), key=len)
        batches: Batches = []
        for ids in usable:
            if not batches or len(ids) * (len(batches[-1]) + 1) > config.tokens:
                batches.append([])
            batches[-1].append(ids)
        rng = np.random.default_rng([config.seed, epoch, pool])
        return [batches[i] for i in rng.permutation(len(batches))]


def sentence_loss(model: RecurrentLM, batch: list[list[int]]) -> Tensor:
    """Mean -log p of all tokens of some sentences, each from state zero; their ends included."""
    lengths = torch.tensor([len(ids) for ids in batch], device=model.device)
    targets = torch.nn.utils.rnn.pad_sequence([torch.tensor(ids) for ids in batch], True, -1).to(model.device)
    inputs = torch.nn.functional.pad(targets[:, :-1].clamp_min(0), (1, 0), value=BOUNDARY)
    log_probs = model(inputs, lengths)
    return torch.nn.functional.nll_loss(log_probs.flatten(0, 1), targets.flatten(), ignore_index=-1)
