"""`asr train`: a run in a folder, begun or resumed."""

import contextlib
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.outputs import check_folder, lock

if TYPE_CHECKING:
    from asr.training.config import TrainingConfig
    from asr.training.loop import Progress


def train(
    config: Annotated[Path, typer.Option(help="YAML with the run's settings (configs/*.yaml)")],
    run: Annotated[Path | None, typer.Option(help="folder of the run; default runs/<name of the config>")] = None,
    change: Annotated[list[str] | None, typer.Option("--set", help="such as optimiser.rate=0.001; may repeat")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps")] = "auto",
    workers: Annotated[int, typer.Option(min=0, help="processes on Ray, one a GPU or CPU; they train one model")] = 0,
    address: Annotated[str | None, typer.Option(help="of a Ray cluster whose nodes all see the run's folder")] = None,
) -> None:
    """Train a model, or go on with a run that was stopped."""
    folder = run or Path("runs") / config.stem
    check_folder(folder)
    if workers or address:
        _train_on_ray(config, folder, change or [], device=device, workers=workers or 1, address=address)
        return
    settings = read_training_config(config, change or [])
    leads = os.environ.get("RANK", "0") == "0"
    with lock(folder / "lock", "--run") if leads else contextlib.nullcontext():
        _train_here(settings, folder, device)


def _train_here(settings: "TrainingConfig", folder: Path, device: str) -> None:
    from asr.model.engine import choose_device
    from asr.training.loop import TrainingRun

    if "TORCHELASTIC_RUN_ID" in os.environ:  # one of several processes that torchrun started
        import torch

        torch.distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    training = TrainingRun(settings, folder, device=str(choose_device(device)))
    if training.state.step:
        _say(folder, f"going on after step {training.state.step}")
    if not training.group.leads:
        training.run(lambda _: None)
        return
    for sentence in training.coverage().sentences(settings.data.batches):
        _say(folder, sentence)
    with Reporter(folder) as reporter:
        training.run(reporter)
    print(folder / "last")


def _train_on_ray(
    config: Path, folder: Path, changes: list[str], *, device: str, workers: int, address: str | None
) -> None:
    from pipelines.ray_connection import data_only_on_stdout
    from pipelines.train_on_ray import Task, train_on_ray

    task = Task(read_training_config(config.absolute(), changes), folder.absolute(), device)
    with lock(folder / "lock", "--run"), Reporter(folder) as reporter, data_only_on_stdout():
        train_on_ray(task, reporter, partial(_say, folder), workers=workers, address=address)
    print(folder / "last")


def _say(folder: Path, sentence: str) -> None:
    print(f"{folder}: {sentence}", file=sys.stderr)


def read_training_config(path: Path, changes: list[str]) -> "TrainingConfig":
    """The settings, with data paths made relative to the config file."""
    import dataclasses

    from asr.settings import read_settings
    from asr.training.config import TrainingConfig

    settings = read_settings(TrainingConfig, path, changes)
    data = settings.data
    found = dataclasses.replace(
        data,
        train={path.parent / manifest: weight for manifest, weight in data.train.items()},
        dev=data.dev and path.parent / data.dev,
        noise=data.noise and path.parent / data.noise,
        rooms=data.rooms and path.parent / data.rooms,
    )
    against = settings.discriminative
    if against:
        against = dataclasses.replace(against, texts=[path.parent / text for text in against.texts])
    initial = settings.initial and path.parent / settings.initial
    return dataclasses.replace(settings, data=found, initial=initial, discriminative=against)


class Reporter:
    """A progress bar on a terminal, else a line now and then; TensorBoard in the run's folder."""

    def __init__(self, folder: Path, every: int = 25) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar
        from torch.utils.tensorboard import SummaryWriter

        self._every, self._wer, self._speed = every, float("nan"), 0.0
        self._board = SummaryWriter(str(folder))
        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        self._bar = Bar(*columns, transient=True) if sys.stderr.isatty() else None
        self._task = self._bar.add_task("") if self._bar else None

    def __enter__(self) -> "Reporter":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        self._board.close()

    def __call__(self, progress: "Progress") -> None:
        """Show one step."""
        self._speed = progress.speed if self._speed == 0 else 0.95 * self._speed + 0.05 * progress.speed
        self._wer = self._wer if progress.dev_wer is None else progress.dev_wer
        losses = "  ".join(f"{head} {value:.3f}" for head, value in progress.losses.items())
        text = f"{losses}  dev WER {self._wer:.1f} %  {progress.hours:.1f} h, {self._speed / 3600:.4f} h/s"
        self._write_board(progress)
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=progress.step, total=progress.total_steps, description=text)
        elif progress.step % self._every == 0 or progress.dev_wer is not None:
            print(f"step {progress.step}/{progress.total_steps}  {text}", file=sys.stderr, flush=True)

    def _write_board(self, progress: "Progress") -> None:
        for head, value in progress.losses.items():
            self._board.add_scalar(f"loss/{head}", value, progress.step)
        self._board.add_scalar("rate", progress.rate, progress.step)
        self._board.add_scalar("gradient norm", progress.gradient_norm, progress.step)
        if progress.dev_wer is not None:
            self._board.add_scalar("dev WER %", progress.dev_wer, progress.step)
