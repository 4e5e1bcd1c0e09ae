import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.errors import AsrError
from asr.output.formats import FORMATS
from asr.recognizer import Recognizer
from pipelines.batch.folder_batch import run_batch
from pipelines.batch.ledger import Ledger, Row
from pipelines.batch.pool import Job, Outcome, PoolConfig, Worker, in_order
from pipelines.sources import Found, find_recordings
from tests.on_ray.killing import Killer
from tests.pipelines.bundles import save_nonsense
from tests.recordings import RECORDINGS, speech

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*")
FORMAT_NAMES = ("txt", "json")


class Fragile(Worker):
    """Dies of any recording whose name says poison, and once of each that says unlucky."""

    def transcribe(self, job: Job) -> Outcome:
        if "poison" in job.path.name:
            os._exit(9)
        mark = job.path.with_suffix(".died")
        if "unlucky" in job.path.name and not mark.exists():
            mark.touch()
            os._exit(9)
        return super().transcribe(job)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve good recordings and two bad ones."""
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for number in range(12):
        shutil.copy(RECORDINGS[number % 2], sounds / f"good{number:02}.opus")
    (sounds / "empty.wav").write_bytes(b"")
    (sounds / "text.wav").write_text("this is no sound\n" * 9)
    return sounds


def recordings(folder: Path) -> list[Found]:
    return [found for found in find_recordings([str(folder)]) if isinstance(found, Found)]


def rows(out: Path) -> dict[str, Row]:
    ledger = Ledger(out)
    found = {row.stem: row for row in ledger.rows()}
    ledger.close()
    return found


def outputs(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".txt", ".json")}


def alone(model: Path, found: list[Found]) -> dict[str, bytes]:
    """What one process writes."""
    recognizer, texts = Recognizer.load(model), {}
    for recording in found:
        if recording.stem.name.startswith(("good", "unlucky")):
            transcript = recognizer.transcribe(recording.open(), name=recording.name)
            texts |= {f"{recording.stem}.{name}": FORMATS[name](transcript).encode() for name in FORMAT_NAMES}
    return texts


def two_hundred(folder: Path) -> list[str]:
    """Passages of 1.5 s, each another, in 195 files, and five broken ones; the stems of these."""
    folder.mkdir()
    sound = speech(8, pause_s=0.2)
    for number, start in enumerate(np.linspace(0, len(sound) - 24_000, 195).astype(int)):
        soundfile.write(folder / f"good{number:03}.wav", sound[start : start + 24_000], 16_000)
    whole = (folder / "good000.wav").read_bytes()
    (folder / "broken0.wav").write_bytes(b"")
    (folder / "broken1.wav").write_text("this is no sound\n" * 9)
    (folder / "broken2.wav").write_bytes(whole[: len(whole) // 2])
    (folder / "broken3.mp3").write_bytes(bytes(range(256)) * 20)
    soundfile.write(folder / "broken4.wav", np.full(9000, np.nan, np.float32), 16_000, subtype="FLOAT")
    return [f"broken{number}" for number in range(5)]


@pytest.mark.usefixtures("ray_here")
def test_two_workers_that_are_killed_write_what_one_process_writes_and_name_what_is_broken(
    model: Path, tmp_path: Path
) -> None:
    broken, out = two_hundred(tmp_path / "sounds"), tmp_path / "out"
    found, killer = recordings(tmp_path / "sounds"), Killer(3, ["Worker"], seed=2, pause_s=1.0)
    killer.start()
    try:
        assert run_batch(found, out, FORMAT_NAMES, PoolConfig(2, str(model), max_attempts=9)) == 1
    finally:
        killer.over.set()
        killer.join()
    assert outputs(out) == alone(model, found)
    ledger = rows(out)
    assert {stem: row.code for stem, row in ledger.items() if row.state == "failed"} == dict.fromkeys(broken, "audio")
    assert all(stem in str(row.message) for stem, row in ledger.items() if row.state == "failed")
    assert sum(row.state == "done" and bool(row.seconds) for row in ledger.values()) == 195
    assert killer.dead.total() >= sum(row.attempts - 1 for row in ledger.values())


@pytest.mark.usefixtures("ray_here")
def test_a_poison_recording_is_put_aside_and_an_unlucky_one_is_tried_again(
    model: Path, folder: Path, tmp_path: Path
) -> None:
    shutil.copy(RECORDINGS[0], folder / "poison.opus")
    shutil.copy(RECORDINGS[0], folder / "unlucky.opus")
    found, out = recordings(folder), tmp_path / "out"
    assert run_batch(found, out, FORMAT_NAMES, PoolConfig(2, str(model)), worker=Fragile) == 1
    ledger = rows(out)
    assert (ledger["poison"].state, ledger["poison"].attempts) == ("quarantined", 2)
    assert (ledger["unlucky"].state, ledger["unlucky"].attempts) == ("done", 2)
    assert outputs(out) == alone(model, found)
    before = outputs(out), {path: path.stat().st_mtime_ns for path in out.glob("*.txt")}
    assert run_batch(found, out, FORMAT_NAMES, PoolConfig(2, str(model)), worker=Fragile) == 1
    assert rows(out) == ledger, "a second run does nothing"
    assert before == (outputs(out), {path: path.stat().st_mtime_ns for path in out.glob("*.txt")})
    assert run_batch(found, out, FORMAT_NAMES, PoolConfig(2, str(model)), retry_failed=True) == 1
    assert rows(out)["poison"].state == "done"


@pytest.mark.usefixtures("ray_here")
def test_outcomes_come_in_the_order_of_the_sources(model: Path, folder: Path) -> None:
    jobs = [Job(found.name, found.path) for found in recordings(folder) if found.path]
    assert [job for job, _ in in_order(jobs, PoolConfig(2, str(model)))] == jobs


@pytest.mark.usefixtures("ray_here")
def test_a_model_that_no_worker_can_load_ends_the_run_with_its_reason(
    model: Path, folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = shutil.copytree(model, tmp_path / "damaged")
    (damaged / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(AsrError, match="weights"):
        run_batch(recordings(folder), tmp_path / "out", FORMAT_NAMES, PoolConfig(2, str(damaged)))
    assert {row.state for row in rows(tmp_path / "out").values()} == {"queued"}
    assert capfd.readouterr().out == ""


def started(folder: Path, out: Path, model: Path, address: str) -> subprocess.Popen[bytes]:
    """The command in another process, once it has written three: the row of the last may be yet to come."""
    command = [str(Path(sys.executable).with_name("asr")), "transcribe", str(folder), "--workers", "2"]
    command += ["--address", address, "--out", str(out), "--format", "txt,json", "--model", str(model)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.json"))) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_is_stopped_goes_on_where_it_was(
    ray_here: str, model: Path, tmp_path: Path, blow: signal.Signals
) -> None:
    folder, out = tmp_path / "sounds", tmp_path / "out"
    folder.mkdir()
    for number in range(80):
        shutil.copy(RECORDINGS[number % 2], folder / f"good{number:02}.opus")
    process = started(folder, out, model, ray_here)
    process.send_signal(blow)
    _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if blow == signal.SIGINT else -9), said.decode()
    first = rows(out)
    finished = {stem for stem, row in first.items() if row.state == "done"}
    assert 0 < len(finished) < 80
    stamps = {stem: (out / f"{stem}.json").stat().st_mtime_ns for stem in finished}
    process = started(folder, out, model, ray_here)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said.decode()
    assert all(row.state == "done" and row.attempts == 1 for row in rows(out).values())
    assert stamps == {stem: (out / f"{stem}.json").stat().st_mtime_ns for stem in finished}, "done once"
    assert outputs(out) == alone(model, recordings(folder))
    with contextlib.suppress(FileNotFoundError):
        assert not list(out.glob(".*.part")), "no half file stays"
