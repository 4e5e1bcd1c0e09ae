import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from pipelines.outputs import lock
from tests.pipelines.test_transcribe import asr
from tests.recordings import AUDIO

TINY = Path(__file__).parent.parent.parent / "configs" / "tiny.yaml"
QUICK = ("--set", "model.hidden=8", "--set", "optimiser.warmup_steps=1", "--set", "optimiser.decay_steps=1")


def steps_of(run: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (run / "log.jsonl").read_text().splitlines()]


def test_a_run_trains_goes_on_and_leaves_a_model_that_transcribes(tmp_path: Path) -> None:
    run = tmp_path / "run"
    first = asr("train", "--config", TINY, "--run", run, *QUICK, "--set", "optimiser.total_steps=2")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == str(run / "last")
    again = asr("train", "--config", TINY, "--run", run, *QUICK, "--set", "optimiser.total_steps=4")
    assert "going on after step 2" in again.stderr
    assert steps_of(run) == [1, 2, 3, 4]
    heard = asr("transcribe", TINY.parent.parent / "tests" / "audio", model=run / "last")
    assert heard.returncode == 0
    assert len(heard.stdout.splitlines()) == 8


def test_ctrl_c_saves_what_was_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = [str(Path(sys.executable).with_name("asr")), "train", "--config", str(TINY), "--run", str(run), *QUICK]
    process = subprocess.Popen(
        [*command, "--set", "optimiser.total_steps=5000"], env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    while not (run / "log.jsonl").exists() or len(steps_of(run)) < 2:
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    [saved] = run.glob("step-*")
    assert int(saved.name.removeprefix("step-")) >= 2


def test_a_wrong_setting_is_misuse(tmp_path: Path) -> None:
    done = asr("train", "--config", TINY, "--run", tmp_path / "run", "--set", "model.hiden=8")
    assert (done.returncode, "hiden: unknown" in done.stderr) == (2, True)
    done = asr("train", "--config", tmp_path / "absent.yaml", "--run", tmp_path / "run")
    assert (done.returncode, "absent.yaml" in done.stderr) == (2, True)
    assert not (tmp_path / "run").exists()


def test_adapting_into_a_folder_of_other_things_is_misuse_and_leaves_them(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "photo.jpg").write_text("dear to me")
    done = asr("adapt", AUDIO, "--out", tmp_path / "mine")
    assert (done.returncode, "other things" in done.stderr) == (2, True)
    assert (tmp_path / "mine" / "photo.jpg").exists()


def test_a_second_run_in_a_folder_is_refused_and_the_first_is_not_touched(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with lock(run / "lock", "--run"):
        second = asr("train", "--config", TINY, "--run", run)
    assert second.returncode == 2
    assert "another run is at work in" in second.stderr
    assert [path.name for path in run.iterdir()] == ["lock"]
