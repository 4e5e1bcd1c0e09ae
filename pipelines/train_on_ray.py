"""`asr train --workers`: one process a GPU, or a CPU, on Ray Train. What a process does is `asr.training.loop`.

The run's folder is all that the processes share besides gradients: each begins with its newest `step-N/`, the first
writes to it, and here its log is read for the progress. So a process that dies costs the steps since the last save: all
are started again and go on from there. On a cluster every node must see the folder and the data under the same path.
"""

import contextlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from asr.errors import AsrError
from asr.training.config import TrainingConfig
from asr.training.interrupting import deferred_interrupt
from asr.training.loop import Progress, TrainingRun
from asr.training.state import newest_state
from asr.writing import write_whole
from pipelines.ray_connection import connected, own_error

_STOP = "stop"  # a file in the run's folder: whoever leads ends the run after this step
_LEFT_OUT = "left_out.txt"  # another: what of the data is not learnt from
_IN_VAIN = 5  # deaths in a row without a state saved in between
_LOOK_S = 0.5


@dataclass(frozen=True)
class Task:
    """What every process of the group is told."""

    settings: TrainingConfig
    folder: Path
    device: str


def train_on_ray(
    task: Task, report: Callable[[Progress], None], say: Callable[[str], None], *, workers: int, address: str | None
) -> None:
    """All steps that are left, each reported; what of the data is not learnt from is said. Ctrl-C saves and raises on.

    Raises what a process raised, and AsrError where processes die again and again.
    """
    task.folder.mkdir(parents=True, exist_ok=True)
    for name in (_STOP, _LEFT_OUT):
        (task.folder / name).unlink(missing_ok=True)
    with connected(address, cpus=workers + 1) as ray, _Log(task.folder, report, say) as log:
        gpus = task.device in ("auto", "cuda") and ray.cluster_resources().get("GPU", 0) >= workers
        group = _Group(task, workers, gpus=gpus)
        group.start()
        with deferred_interrupt() as interrupted:
            while not group.over.wait(_LOOK_S):
                log.read()
                if interrupted.is_set():
                    (task.folder / _STOP).touch()
        log.read()
    if group.error is not None:
        raise group.error
    if (task.folder / _STOP).exists():
        raise KeyboardInterrupt


def _work(given: dict[str, Task]) -> None:
    """A process of the group. Ray Train has made the group before."""
    task = given["task"]
    from asr.model.engine import choose_device

    run = TrainingRun(task.settings, task.folder, device=str(choose_device(task.device)))
    left_out = task.folder / _LEFT_OUT
    if run.group.leads and not left_out.exists():  # once, not after each death again
        write_whole(left_out, "\n".join(run.coverage().sentences(task.settings.data.batches)))
    with contextlib.suppress(KeyboardInterrupt):  # asked to stop: the state is saved
        run.run(lambda _: None, stop=(task.folder / _STOP).exists)


class _Group(threading.Thread):
    """Ray Train at work, again and again while its processes die: beside the main thread, which has Ctrl-C."""

    def __init__(self, task: Task, workers: int, *, gpus: bool) -> None:
        super().__init__(daemon=True)
        self._task, self._workers, self._gpus = task, workers, gpus
        self.error: BaseException | None = None
        self.over = threading.Event()  # Ctrl-C in `join` makes Python 3.11 take a thread for dead (cpython gh-90882)

    def run(self) -> None:
        """The thread's work."""
        try:
            self._train()
        except BaseException as error:
            self.error = error
        finally:
            self.over.set()

    def _train(self) -> None:
        from ray.exceptions import RayError
        from ray.train.v2.api.exceptions import TrainingFailedError, WorkerGroupError

        reached, in_vain = newest_state(self._task.folder), 0
        while True:
            try:
                self._trainer().fit()
                return
            except (TrainingFailedError, RayError) as error:  # the second: whoever watches them died itself
                failures = error.worker_failures.values() if isinstance(error, WorkerGroupError) else ()
                for failure in failures:
                    if ours := own_error(failure):
                        raise ours from error
                newest = newest_state(self._task.folder)
                reached, in_vain = newest, (in_vain + 1 if newest == reached else 1)
                if in_vain >= _IN_VAIN:
                    raise AsrError(self._task.folder, f"{in_vain} processes in a row failed: {error}") from error

    def _trainer(self) -> Any:
        from ray.train import RunConfig, ScalingConfig
        from ray.train.torch import TorchTrainer

        return TorchTrainer(
            _work,
            train_loop_config={"task": self._task},
            scaling_config=ScalingConfig(num_workers=self._workers, use_gpu=self._gpus),
            run_config=RunConfig(name="ray", storage_path=str(self._task.folder)),
        )


class _Log:
    """The run's log, read as it grows, and before it what is left out."""

    def __init__(self, folder: Path, report: Callable[[Progress], None], say: Callable[[str], None]) -> None:
        self._path, self._report, self._say = folder / "log.jsonl", report, say
        self._left_out: Path | None = folder / _LEFT_OUT  # None: it has been said
        self._rest = ""

    def __enter__(self) -> "_Log":
        self._path.touch()
        self._file: IO[str] = self._path.open(encoding="utf-8")
        self._file.seek(0, os.SEEK_END)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def read(self) -> None:
        """Report the steps that have been added."""
        if self._left_out and self._left_out.exists():
            for sentence in self._left_out.read_text(encoding="utf-8").splitlines():
                self._say(sentence)
            self._left_out = None
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            self._report(Progress(**json.loads(line)))
