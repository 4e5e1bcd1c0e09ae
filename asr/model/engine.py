"""Where and how precisely a model runs, and utterances run through it.

On the CPU each utterance runs alone on one thread, several at a time: dynamic int8 takes its scale from everything in a
call, so a batch would let utterances change each other's numbers. Alone, company is invisible by construction. On a
GPU, batches of like length.
"""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from asr.errors import ConfigError
from asr.features.spectral import FeatureConfig, extract
from asr.model.acoustic import AcousticModel
from asr.model.bundle import Bundle, frame_seconds

Precision = Literal["fp32", "bf16", "int8"]
Samples = np.ndarray[tuple[int], np.dtype[np.float32]]
Given = TypeVar("Given")
Found = TypeVar("Found")
LogProbs = dict[str, Tensor]  # head -> (T', V), on the CPU

BATCH_S = 240.0  # seconds of audio in one GPU batch, padding included


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


def cores() -> int:
    """The processor cores that this process may use; OMP_NUM_THREADS overrules."""
    given = os.environ.get("OMP_NUM_THREADS", "")
    if given.isdecimal() and int(given) > 0:
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def quantise(model: AcousticModel) -> AcousticModel:
    """A copy with recurrent layers in dynamic int8, a scale for each row of weights (a plain RNN stays fp32).

    Linear layers stay fp32. Both together halve what int8 changes (what the default language model says of readings of
    one utterance: by 0.16 instead of 0.29), at the same speed.
    """
    rows = torch.ao.quantization.per_channel_dynamic_qconfig
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is to move to torchao, which has no recurrent layers yet
        quantised: AcousticModel = torch.ao.quantization.quantize_dynamic(  # type: ignore[no-untyped-call]
            model, {nn.LSTM: rows, nn.GRU: rows}, torch.qint8
        )
    return quantised


class Engine:
    """A model on a device at a precision. Safe to call from several threads."""

    def __init__(self, bundle: Bundle, *, device: str = "auto", precision: str = "auto") -> None:
        self.device = choose_device(device)
        self.precision = choose_precision(precision, self.device)
        self.features: FeatureConfig = bundle.features
        self.full_model: AcousticModel = bundle.model.to(self.device)  # in fp32: batches of live streams run in it
        self.model = quantise(bundle.model) if self.precision == "int8" else self.full_model
        self.alone = self.device.type == "cpu"
        if self.alone:
            torch.set_num_threads(1)  # utterances are what runs side by side, not parts of one matrix product
        self.workers = cores() if self.alone else 1
        self.pool = ThreadPoolExecutor(self.workers, thread_name_prefix="asr-engine")
        self._second = ThreadPoolExecutor(1, thread_name_prefix="asr-direction")  # of an utterance that has a hurry

    @property
    def frame_s(self) -> float:
        """Seconds from one output frame to the next."""
        return frame_seconds(self.features, self.model.config)

    def log_probs(self, utterances: Sequence[Samples], heads: tuple[str, ...]) -> list[LogProbs]:
        """Each (S,) float32 at 16 kHz -> (T', V) of each head; no samples give (0, V)."""
        if self.alone:
            return self.side_by_side(lambda samples: self.log_probs_of_one(samples, heads), utterances)
        return self._batched(utterances, heads)

    def side_by_side(self, work: Callable[[Given], Found], given: Sequence[Given]) -> list[Found]:
        """`work` on each, in as many threads as there are workers; one alone in the calling thread."""
        return [work(given[0])] if len(given) == 1 else list(self.pool.map(work, given))

    def log_probs_of_one(self, samples: Samples, heads: tuple[str, ...], *, hurried: bool = False) -> LogProbs:
        """One utterance, in the calling thread; `hurried`: in two threads, to the same numbers."""
        if not len(samples):
            return {head: torch.zeros(0, self.full_model.size_of(head)) for head in heads}
        with torch.inference_mode():
            beside = self._second if hurried and self.workers > 1 and self.precision != "bf16" else None
            return self._forward([extract(self.features, torch.from_numpy(samples))], heads, beside)[0]

    def _batched(self, utterances: Sequence[Samples], heads: tuple[str, ...]) -> list[LogProbs]:
        found: list[LogProbs] = [
            {head: torch.zeros(0, self.full_model.size_of(head)) for head in heads} for _ in utterances
        ]
        with torch.inference_mode():
            for batch in length_buckets([len(x) for x in utterances], int(BATCH_S * self.features.sample_rate)):
                frames = [extract(self.features, torch.from_numpy(utterances[i]).to(self.device)) for i in batch]
                for i, result in zip(batch, self._forward(frames, heads), strict=True):
                    found[i] = result
        return found

    def _forward(self, frames: list[Tensor], heads: tuple[str, ...], beside: Executor | None = None) -> list[LogProbs]:
        lengths = torch.tensor([len(x) for x in frames], device=self.device)
        padded = torch.nn.utils.rnn.pad_sequence(frames, batch_first=True).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            encoded = self.model(padded, lengths, heads, beside)
        host = {head: x.cpu() for head, x in encoded.log_probs.items()}
        return [{head: x[i, :n].clone() for head, x in host.items()} for i, n in enumerate(encoded.lengths.tolist())]


def length_buckets(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Group indices of like length: count · longest stays within `budget`. Empty ones are left out."""
    batch: list[int] = []
    for i in sorted((i for i, length in enumerate(lengths) if length), key=lambda i: lengths[i]):
        if batch and lengths[i] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(i)
    if batch:
        yield batch
