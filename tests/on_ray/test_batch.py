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

from asr.errors import AsrError, AudioError
from asr.output.formats import FORMATS
from asr.recognizer import Recognizer
from pipelines.batch.folder_batch import run_batch
from pipelines.batch.ledger import Ledger, Row
from pipelines.batch.pool import Job, Outcome, PoolConfig, Worker
from pipelines.sources import Found, find_recordings
from tests.pipelines.bundles import save_nonsense
from tests.recordings import AUDIO, RECORDINGS, speech

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
    """What one process writes: of a damaged recording, what can be heard."""
    recognizer, texts = Recognizer.load(model), {}
    for recording in found:
        if recording.stem.name == "poison":
            continue
        try:
            transcript = recognizer.transcribe(recording.open(), name=recording.name)
        except AudioError as error:
            if error.heard is None:
                continue
            transcript = error.heard
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
def test_two_hundred_files_some_broken_and_one_poisonous_are_each_done_or_named(model: Path, tmp_path: Path) -> None:
    folder, out = tmp_path / "sounds", tmp_path / "out"
    broken = two_hundred(folder)
    shutil.copy(RECORDINGS[0], folder / "poison.opus")
    shutil.copy(RECORDINGS[0], folder / "unlucky.opus")
    found, config = recordings(folder), PoolConfig(2, str(model))
    assert run_batch(found, out, FORMAT_NAMES, config, worker=Fragile) == 1
    expected = alone(model, found)
    assert outputs(out) == expected, "the same as of one process"
    ledger = rows(out)
    assert {stem: row.code for stem, row in ledger.items() if row.state == "failed"} == dict.fromkeys(broken, "audio")
    assert all(stem in str(row.message) for stem, row in ledger.items() if row.state == "failed")
    assert sum(row.state == "done" and bool(row.seconds) for row in ledger.values()) == 196
    assert (ledger["poison"].state, ledger["poison"].attempts) == ("quarantined", 2)
    assert (ledger["unlucky"].state, ledger["unlucky"].attempts) == ("done", 2)
    stamps = {path: path.stat().st_mtime_ns for path in out.glob("*.txt")}
    assert run_batch(found, out, FORMAT_NAMES, config, worker=Fragile) == 1
    assert rows(out) == ledger, "a second run does nothing"
    assert stamps == {path: path.stat().st_mtime_ns for path in out.glob("*.txt")}
    assert run_batch(found, out, FORMAT_NAMES, config, retry_failed=True) == 1
    assert rows(out)["poison"].state == "done"


@pytest.mark.usefixtures("ray_here")
def test_a_model_that_no_worker_can_load_ends_the_run_with_its_reason(
    model: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    damaged = shutil.copytree(model, tmp_path / "damaged")
    (damaged / "weights.safetensors").write_bytes(b"damaged")
    with pytest.raises(AsrError, match="weights"):
        run_batch(recordings(AUDIO), tmp_path / "out", FORMAT_NAMES, PoolConfig(1, str(damaged)))
    assert {row.state for row in rows(tmp_path / "out").values()} == {"queued"}
    assert capfd.readouterr().out == ""


def started(folder: Path, out: Path, model: Path, address: str, more: int) -> subprocess.Popen[bytes]:
    """The command in another process, once it has written three more: the row of the last may be yet to come."""
    command = [str(Path(sys.executable).with_name("asr")), "transcribe", str(folder), "--workers", "2"]
    command += ["--address", address, "--out", str(out), "--format", "txt,json", "--model", str(model)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while len(list(out.glob("*.json"))) < more + 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


def test_a_driver_that_is_stopped_and_then_killed_goes_on_where_it_was(
    ray_here: str, model: Path, tmp_path: Path
) -> None:
    folder, out = tmp_path / "sounds", tmp_path / "out"
    folder.mkdir()
    for number in range(120):
        shutil.copy(RECORDINGS[number % 2], folder / f"good{number:03}.opus")
    finished: dict[str, int] = {}  # stem -> when it was written
    for blow, status in ((signal.SIGINT, 130), (signal.SIGKILL, -9), (None, 0)):
        process = started(folder, out, model, ray_here, more=len(finished))
        if blow:
            process.send_signal(blow)
        _, said = process.communicate(timeout=120)
        assert process.returncode == status, said.decode()
        done = [stem for stem, row in rows(out).items() if row.state == "done"]
        assert len(finished) < len(done) and (blow is None) == (len(done) == 120)  # noqa: PT018
        stamps = {stem: (out / f"{stem}.json").stat().st_mtime_ns for stem in done}
        assert finished == {stem: stamps[stem] for stem in finished}, "each is done once"
        finished = stamps
    assert all(row.attempts == 1 for row in rows(out).values())
    assert outputs(out) == alone(model, recordings(folder))
    assert not list(out.glob(".*.part")), "no half file stays"
