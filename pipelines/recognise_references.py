"""Test sets through a recogniser, in this process or in several on Ray, each with the model."""

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.progress import Progress

if TYPE_CHECKING:
    from asr.evaluation.answers import Answer
    from asr.evaluation.datasets import Dataset, Problem, Reference
    from asr.evaluation.result import Result
    from asr.recognizer import Recognizer


@dataclass(frozen=True)
class EngineChoice:
    """Which model, and how it runs."""

    model: str
    device: str
    precision: str
    decoding: str

    def load(self) -> "Recognizer":
        """The recogniser, loaded. Raises CheckpointError, ConfigError."""
        from asr.recognizer import Recognizer

        return Recognizer.load(self.model, device=self.device, precision=self.precision, decoding=self.decoding)

    @property
    def about(self) -> dict[str, str]:
        """The choice in words, and the day."""
        chosen = {"model": self.model, "device": self.device, "precision": self.precision, "decoding": self.decoding}
        return {**chosen, "date": time.strftime("%Y-%m-%d")}


def recognise(
    datasets: Sequence["Dataset"], engine: EngineChoice, *, workers: int, address: str | None = None
) -> "Result":
    """Hear every reference; what failed is among the problems. Several workers, or an address: on Ray."""
    from asr.evaluation.answers import Answer
    from asr.evaluation.result import Result

    jobs = [(dataset.name, reference) for dataset in datasets for reference in dataset.references]
    found = list(_with_progress(_answers(jobs, engine, workers, address), len(jobs)))
    answers = tuple(x for x in found if isinstance(x, Answer))
    failed = tuple(x for x in found if not isinstance(x, Answer))
    return Result(Path(engine.model).name, answers, (*problems_of(datasets), *failed), engine.about)


def problems_of(datasets: Sequence["Dataset"]) -> tuple["Problem", ...]:
    """What was wrong with the data."""
    return tuple(problem for dataset in datasets for problem in dataset.problems)


def _answers(
    jobs: Sequence[tuple[str, "Reference"]], engine: EngineChoice, workers: int, address: str | None
) -> Iterator["Answer | Problem"]:
    """An answer or a problem for each (set, reference), in order."""
    if workers > 1 or address:
        from pipelines.batch.evaluation import answer_on_ray
        from pipelines.ray_connection import data_only_on_stdout

        with data_only_on_stdout():
            yield from answer_on_ray(jobs, engine, workers=workers, address=address)
        return
    from asr.evaluation.transcribing import answer_reference

    recognizer = engine.load()
    yield from (answer_reference(recognizer, *job) for job in jobs)


def _with_progress(rows: Iterable["Answer | Problem"], total: int) -> Iterator["Answer | Problem"]:
    seconds = 0.0
    with Progress(total) as progress:
        for row in rows:
            seconds += getattr(row, "duration_s", None) or 0.0
            progress.advance(seconds)
            yield row
