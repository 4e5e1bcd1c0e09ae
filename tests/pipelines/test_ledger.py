import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from asr.errors import AudioError, ConfigError
from pipelines.batch.ledger import NAME, Ledger, hash_file, hash_settings

WRITER = """
import sys
from pathlib import Path
from pipelines.batch.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(10_000):
    stem = f"file{number}"
    ledger.enter(stem, Path(sys.argv[2]), "s")
    ledger.run(stem)
    print(stem, flush=True)
    ledger.done(stem, audio_hash="h", seconds=1.0)
    print(stem, "done", flush=True)
"""


@pytest.fixture
def audio(tmp_path: Path) -> Path:
    path = tmp_path / "sound.wav"
    path.write_bytes(b"some sound")
    return path


def test_a_done_recording_stays_done_until_it_or_the_settings_change(tmp_path: Path, audio: Path) -> None:
    ledger = Ledger(tmp_path / "out")
    ledger.enter("a", audio, "s")
    ledger.run("a")
    ledger.done("a", audio_hash=hash_file(audio), seconds=2.5)
    assert ledger.enter("a", audio, "s").state == "done"
    os.utime(audio, ns=(1, 1))
    assert ledger.enter("a", audio, "s").state == "done", "touched, but the same bytes"
    audio.write_bytes(b"ANY! sound")
    os.utime(audio, ns=(2, 2))
    assert ledger.enter("a", audio, "s").state == "queued"
    ledger.done("a", audio_hash=hash_file(audio), seconds=2.5)
    assert ledger.enter("a", audio, "other settings").state == "queued"
    ledger.close()


def test_a_recording_is_the_same_from_whatever_folder_it_is_named(
    tmp_path: Path, audio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = Ledger(tmp_path / "out")
    monkeypatch.chdir(audio.parent)
    ledger.enter("a", Path(audio.name), "s")
    ledger.done("a", audio_hash=hash_file(audio), seconds=2.5)
    monkeypatch.chdir("/")
    assert ledger.enter("a", audio, "s").state == "done"
    ledger.close()


def test_a_failure_stays_with_its_reason_until_it_is_to_be_tried_again(tmp_path: Path, audio: Path) -> None:
    ledger = Ledger(tmp_path / "out")
    ledger.enter("a", audio, "s")
    ledger.run("a")
    ledger.fail("a", "audio", "sound.wav: is no sound")
    row = ledger.enter("a", audio, "s")
    assert (row.state, row.code, row.message, row.attempts) == ("failed", "audio", "sound.wav: is no sound", 1)
    row = ledger.enter("a", audio, "s", retry_failed=True)
    assert (row.state, row.code, row.attempts) == ("queued", None, 0)
    ledger.close()


def test_a_recording_that_is_gone_is_an_audio_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "out")
    with pytest.raises(AudioError, match="cannot be read"):
        ledger.enter("a", tmp_path / "gone.wav", "s")
    ledger.close()


def test_a_second_run_is_refused_while_the_first_writes(tmp_path: Path) -> None:
    first = Ledger(tmp_path)
    with pytest.raises(ConfigError, match="another run"):
        Ledger(tmp_path)
    first.close()
    Ledger(tmp_path).close()


@pytest.mark.parametrize("wait_s", [0.0, 0.05, 0.2])
def test_after_kill_9_what_was_said_done_is_done_and_what_ran_is_queued(
    tmp_path: Path, audio: Path, wait_s: float
) -> None:
    out = tmp_path / "out"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(out), str(audio)], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    first = writer.stdout.readline()
    time.sleep(wait_s)
    writer.send_signal(signal.SIGKILL)
    lines = [first, *writer.stdout.read().splitlines(keepends=True)]
    writer.wait()
    writer.stdout.close()
    said = {line.split()[0] for line in lines if line.endswith("done\n")}
    assert (out / NAME).exists()
    ledger = Ledger(out)
    rows = {row.stem: row for row in ledger.rows()}
    assert said <= {stem for stem, row in rows.items() if row.state == "done"}
    assert {row.state for row in rows.values()} <= {"done", "queued"}
    assert all(row.attempts == (row.state == "done") for row in rows.values())
    ledger.close()


def test_other_weights_or_settings_are_another_hash(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"1")
    one = hash_settings(tmp_path, "txt")
    assert hash_settings(tmp_path, "txt") == one != hash_settings(tmp_path, "json")
    (tmp_path / "weights").write_bytes(b"2")
    assert hash_settings(tmp_path, "txt") != one
