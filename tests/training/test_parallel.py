import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import distributed

from asr.errors import ConfigError
from asr.model.bundle import load_bundle
from asr.training.loop import TrainingRun
from asr.training.parallel import Group
from asr.training.windowed import WindowedConfig
from tests.training.test_loop import small_training, tone_manifest


def in_a_group_of_two(work: Callable[[int, Path], Any], folder: Path) -> list[Any]:
    """What `work` returns in each of two processes that form a group."""
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    processes = [context.Process(target=_member, args=(work, rank, folder, answers)) for rank in range(2)]
    for process in processes:
        process.start()
    found = dict(answers.get(timeout=120) for _ in processes)
    for process in processes:
        process.join()
    return [found[rank] for rank in range(2)]


def _member(work: Callable[[int, Path], Any], rank: int, folder: Path, answers: Any) -> None:
    torch.set_num_threads(1)  # a forked process must not use its parent's threads
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    answers.put((rank, work(rank, folder)))
    distributed.destroy_process_group()


def _train(rank: int, folder: Path) -> tuple[list[float], list[int]]:
    run = TrainingRun(small_training(folder / "manifest.jsonl"), folder / "run")
    for step in range(4):
        stopped = run.advance(stop=rank == 1 and step == 3).stopped
        assert stopped == (step == 3)
    weights = torch.cat([x.flatten() for x in run.state.model.state_dict().values()])
    return weights.tolist(), [run.state.epoch, run.state.batch]


def test_processes_that_train_together_keep_one_model_and_one_stops_all(tmp_path: Path) -> None:
    tone_manifest(tmp_path)
    first, second = in_a_group_of_two(_train, tmp_path)
    assert first == second


def test_gradients_are_averaged_and_shares_of_an_epoch_are_equal_and_disjoint(tmp_path: Path) -> None:
    assert in_a_group_of_two(_average, tmp_path) == [[1.5, 3.0], [1.5, 3.0]]
    plan = [[i] for i in range(7)]
    shares = [Group(rank, 3).share(plan) for rank in range(3)]
    assert [len(share) for share in shares] == [2, 2, 2]
    assert len({i for share in shares for [i] in share}) == 6
    assert Group().share(plan) == plan


def _average(rank: int, _: Path) -> list[float]:
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = (rank + 1) * torch.tensor([1.0, 2.0])
    assert not Group.current().average_gradients([parameter], stop=False)
    return parameter.grad.tolist()


def test_a_run_begins_with_the_weights_and_units_of_a_bundle(tmp_path: Path) -> None:
    config = small_training(tone_manifest(tmp_path))
    before = TrainingRun(config, tmp_path / "before")
    before.advance()
    before.save()
    from_bundle = small_training(tmp_path / "manifest.jsonl", initial=tmp_path / "before" / "last")
    run = TrainingRun(from_bundle, tmp_path / "after")
    for name, x in load_bundle(tmp_path / "before" / "last").model.state_dict().items():
        assert torch.equal(x, run.state.model.state_dict()[name]), name
    assert run.units["character"].tokens == before.units["character"].tokens
    other = small_training(tmp_path / "manifest.jsonl", cell="gru", initial=tmp_path / "before" / "last")
    with pytest.raises(ConfigError, match="initial"):
        TrainingRun(other, tmp_path / "other")


def _train_in_windows(rank: int, folder: Path) -> list[list[float]]:
    windowed = WindowedConfig(centres=(2, 3), rights=(1,))
    config = small_training(folder / "manifest.jsonl", windowed=windowed, initial=folder / "full" / "last")
    assert len({windowed.draw(seed=config.seed, step=step) for step in range(6)}) > 2  # full passes and both windows
    straight, cut = TrainingRun(config, folder / "straight"), TrainingRun(config, folder / "cut")
    for _ in range(6):
        straight.advance()
    for _ in range(3):
        cut.advance()
    if rank == 0:
        cut.save()
    distributed.barrier()
    cut = TrainingRun(config, folder / "cut")
    for _ in range(3):
        cut.advance()
    return [torch.cat([x.flatten() for x in run.state.model.state_dict().values()]).tolist() for run in (straight, cut)]


def test_training_in_windows_goes_on_from_a_bundle_in_a_group_and_resumes_exactly(tmp_path: Path) -> None:
    full = TrainingRun(small_training(tone_manifest(tmp_path)), tmp_path / "full")
    full.advance()
    full.save()
    (straight, cut), (other_straight, other_cut) = in_a_group_of_two(_train_in_windows, tmp_path)
    assert straight == cut == other_straight == other_cut
