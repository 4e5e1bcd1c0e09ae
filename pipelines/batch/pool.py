"""A pool of recognisers, one recording a worker at a time: who dies tells which recording killed it.

Not Ray Data: when an actor of its pool dies with several blocks in hand, nothing says which file was to blame, and a
file that kills its worker each time ends the whole job instead of being put aside.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from asr.audio.parts import Part
from asr.decoding.words import Transcript
from asr.errors import AsrError, OverloadedError
from pipelines.batch.ledger import hash_file
from pipelines.ray_connection import connect

_PATIENCE_S = 120.0


@dataclass(frozen=True)
class PoolConfig:
    """How many workers, with which model, and on which cluster (None: this machine)."""

    workers: int
    model: str
    device: str = "auto"
    precision: str = "auto"
    decoding: str = "auto"
    address: str | None = None
    max_attempts: int = 2  # of a recording whose worker dies


class Named(Protocol):
    """What a worker is given: hashable, and with a name for messages."""

    @property
    def name(self) -> str:
        """Of the recording."""
        ...


Task = TypeVar("Task", bound=Named)


@dataclass(frozen=True)
class Job:
    """A recording or a part of one; it is read by the worker, so on a cluster all nodes must see it."""

    name: str
    path: Path
    part: Part | None = None  # of the recording at `path`; None: all of it


@dataclass(frozen=True)
class Heard:
    """What a worker gives back."""

    transcript: Transcript
    audio_hash: str


@dataclass(frozen=True)
class Failed:
    """Why there is no whole transcript. `quarantine`: the recording's workers died."""

    code: str
    message: str
    quarantine: bool = False
    heard: Transcript | None = None  # what could be read of a damaged recording


Outcome = Heard | Failed


class Holder:
    """Holds a recogniser. Plain: runs without Ray."""

    def __init__(self, config: PoolConfig) -> None:
        from asr.recognizer import Recognizer

        self.recognizer = Recognizer.load(
            config.model, device=config.device, precision=config.precision, decoding=config.decoding
        )

    def ready(self) -> None:
        """Returns once the model is loaded."""


class Worker(Holder):
    """Transcribes recordings."""

    def transcribe(self, job: Job) -> Outcome:
        """A recording's transcript, or why there is none."""
        [result] = self.recognizer.transcribe_many([(job.name, job.part or job.path)])
        if isinstance(result, AsrError):
            return Failed(result.code, str(result), heard=result.heard)
        return Heard(result, hash_file(job.path))


class Pool:
    """Workers on Ray, spread over its nodes. Those that die are replaced; a recording goes only to one that is ready.

    `worker`: a class made with the config, with `ready()` and `transcribe(job)`; what that gives is the outcome.
    """

    def __init__(self, config: PoolConfig, worker: type = Worker) -> None:
        self._config = config
        self._ours = connect(config.address, cpus=config.workers)
        import ray

        self._ray: Any = ray
        gpus = self._ray.cluster_resources().get("GPU", 0) if config.device in ("auto", "cuda") else 0
        share = min(1.0, gpus / config.workers) if gpus else 0
        self._class: Any = ray.remote(num_cpus=1, num_gpus=share, scheduling_strategy="SPREAD")(worker)
        self._starting: dict[Any, Any] = {}
        self._idle: list[Any] = []
        for _ in range(config.workers):
            self._hire()

    def close(self) -> None:
        """End the workers, and Ray where it was started here."""
        for worker in [*self._idle, *self._starting.values()]:
            self._ray.kill(worker)
        if self._ours:
            self._ray.shutdown()

    def run(self, jobs: Iterable[Task], started: Callable[[Task], None]) -> Iterator[tuple[Task, Any]]:
        """Outcomes as they come; `started` is told of each attempt before it begins. Failed: the worker gave none.

        Raises OverloadedError where no worker can start, and what a worker's start raised.
        """
        waiting, attempts = deque(jobs), Counter[Task]()
        running: dict[Any, tuple[Task, Any]] = {}
        while waiting or running:
            while waiting and self._idle:
                job, worker = waiting.popleft(), self._idle.pop()
                started(job)
                attempts[job] += 1
                running[worker.transcribe.remote(job)] = (job, worker)
            for ref in self._wait(running):
                if ref in self._starting:
                    self._greet(ref)
                    continue
                job, worker = running.pop(ref)
                outcome = self._outcome(ref, worker, job.name)
                if outcome is not None:
                    yield job, outcome
                elif attempts[job] < self._config.max_attempts:
                    waiting.append(job)
                else:
                    yield job, Failed("worker", f"{job.name}: {attempts[job]} workers died of it", quarantine=True)

    def _hire(self) -> None:
        worker = self._class.remote(self._config)
        self._starting[worker.ready.remote()] = worker

    def _greet(self, ref: Any) -> None:
        worker = self._starting.pop(ref)
        try:
            self._ray.get(ref)
        except self._ray.exceptions.ActorDiedError as error:
            if "creation task" in str(error):
                raise OverloadedError("--workers", f"a worker could not start: {error}") from error
            self._hire()
        except self._ray.exceptions.RayActorError:  # its node is gone, or out of reach
            self._ray.kill(worker)
            self._hire()
        else:
            self._idle.append(worker)

    def _wait(self, running: dict[Any, Any]) -> list[Any]:
        found: list[Any]
        found, _ = self._ray.wait([*running, *self._starting], num_returns=1, timeout=_PATIENCE_S)
        if not found and not running:
            raise OverloadedError("--workers", f"no worker could start in {_PATIENCE_S:.0f} s; is the cluster full?")
        return found

    def _outcome(self, ref: Any, worker: Any, name: str) -> Any:
        """None: the worker has died, and another is on its way."""
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(ref)
        except (errors.RayActorError, errors.OutOfMemoryError, errors.NodeDiedError):
            self._ray.kill(worker)
            self._hire()
            return None
        except errors.RayTaskError as error:
            outcome = Failed("internal", f"{name}: {type(error.cause).__name__}: {error.cause}")
        self._idle.append(worker)
        return outcome


def in_order(jobs: Iterable[Task], config: PoolConfig, worker: type = Worker) -> Iterator[tuple[Task, Any]]:
    """Outcomes in the order of the jobs, each as soon as those before it are there."""
    given = list(jobs)
    pool, held = Pool(config, worker), dict[Any, Any]()
    try:
        results = pool.run(given, lambda _: None)
        for job in given:
            while job not in held:
                found, outcome = next(results)
                held[found] = outcome
            yield job, held.pop(job)
    finally:
        pool.close()
