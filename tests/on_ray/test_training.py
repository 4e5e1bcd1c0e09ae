import json
import os
import signal
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest

from asr.model.bundle import load_bundle
from asr.training.loop import Progress
from pipelines.train_on_ray import Task, train_on_ray
from tests.on_ray.killing import Killer
from tests.training.test_loop import small_training, tone_manifest

pytestmark = pytest.mark.filterwarnings(
    "ignore::ResourceWarning", "ignore::FutureWarning:ray.*", "ignore::DeprecationWarning:ray.*"
)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_two_processes_train_together_and_when_one_is_killed_go_on_from_the_last_state(tmp_path: Path) -> None:
    manifest = tone_manifest(tmp_path)
    with manifest.open("a") as file:
        file.write('{"audio_filepath": "0.wav", "duration": 0.2, "text": "left out"}\n')
    config = small_training(manifest)
    config = replace(config, save_every=20, optimiser=replace(config.optimiser, total_steps=160))
    seen: list[Progress] = []
    killer = Killer(1, ["RayTrainWorker"], seed=0, pause_s=0.0)

    def look(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 6:
            killer.start()

    said: list[str] = []
    train_on_ray(Task(config, tmp_path / "run", "cpu"), look, said.append, workers=2, address=None)
    killer.over.set()
    assert killer.dead == {"RayTrainWorker": 1}
    assert said == ["of 7 recordings are left out: 0 longer than 20 s, 1 shorter than 0.4 s (data.batches)"]
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert [progress.step for progress in seen] == [entry["step"] for entry in log]
    [again] = [i for i in range(1, len(log)) if log[i]["step"] <= log[i - 1]["step"] or i == len(log) - 1][:1]
    assert (log[again]["step"] - 1) % 20 == 0, "it begins behind a saved state"
    losses = defaultdict(set)
    for entry in log:
        losses[entry["step"]].add(json.dumps(entry["losses"]))
    assert sorted(losses) == list(range(1, 161))
    assert all(len(values) == 1 for values in losses.values()), "a step that is made again is the same step"
    assert log[-1]["step"] == 160
    assert load_bundle(tmp_path / "run" / "last").metrics["steps"] == 160


@pytest.mark.slow
@pytest.mark.usefixtures("ray_here")
def test_ctrl_c_ends_the_step_and_saves_it(tmp_path: Path) -> None:
    config = small_training(tone_manifest(tmp_path))
    config = replace(config, save_every=5000, optimiser=replace(config.optimiser, total_steps=5000))
    seen: list[Progress] = []

    def look(progress: Progress) -> None:
        seen.append(progress)
        if len(seen) == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_on_ray(Task(config, tmp_path / "run", "cpu"), look, print, workers=2, address=None)
    assert seen[-1].stopped
    assert [path.name for path in (tmp_path / "run").glob("step-*")] == [f"step-{seen[-1].step}"]
