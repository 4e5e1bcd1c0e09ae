import json
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

from tests.pipelines.bundles import save_nonsense
from tests.pipelines.test_transcribe import asr
from tests.recordings import RECORDINGS, speech


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


def test_a_file_played_live_prints_what_transcribe_prints(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(4), 16_000)
    played = asr("live", "--input", tmp_path / "a.wav", "--speed", 0, "--out", tmp_path / "out.txt", model=model)
    assert played.returncode == 0
    assert played.stdout == asr("transcribe", tmp_path / "a.wav", model=model).stdout != ""
    assert (tmp_path / "out.txt").read_text() == played.stdout


def test_formats_grow_with_the_words_and_an_old_subtitle_file_is_left_alone(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(2), 16_000)
    played = asr("live", "-i", tmp_path / "a.wav", "--speed", 0, "--out", tmp_path / "out.srt", model=model)
    assert played.stdout == asr("transcribe", tmp_path / "a.wav", model=model).stdout
    assert (tmp_path / "out.srt").read_text().startswith("1\n00:00:0")
    printed = asr("live", "-i", tmp_path / "a.wav", "--speed", 0, "--format", "jsonl", model=model)
    assert [line["text"] for line in map(json.loads, printed.stdout.splitlines())] == played.stdout.splitlines()
    before = (tmp_path / "out.srt").read_text()
    again = asr("live", "-i", tmp_path / "a.wav", "--speed", 0, "--out", tmp_path / "out.srt", model=model)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert (tmp_path / "out.srt").read_text() == before


def test_raw_samples_on_stdin_are_heard_and_kept(model: Path, tmp_path: Path) -> None:
    raw = (speech(2) * 32767).astype("<i2").tobytes()
    done = asr("live", "--input", "-", "--json", "--save-audio", tmp_path / "kept.wav", stdin=raw, model=model)
    assert done.returncode == 0
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()].count("final") == 2
    kept, rate = soundfile.read(tmp_path / "kept.wav", dtype="int16")
    assert rate == 16_000
    assert np.abs(kept - np.frombuffer(raw, "<i2").astype(int)).max() <= 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_an_end_from_outside_keeps_the_last_words(model: Path, number: signal.Signals) -> None:
    command = [str(Path(sys.executable).with_name("asr")), "live", "--input", str(RECORDINGS[5]), "--speed", "1"]
    process = subprocess.Popen(
        [*command, "--json", "--model", str(model)],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    first = json.loads(process.stdout.readline())
    assert first["type"] == "partial"
    time.sleep(0.3)
    process.send_signal(number)
    rest = process.communicate(timeout=60)[0].splitlines()
    assert process.returncode == 0
    assert json.loads(rest[-1])["type"] == "final"


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--input", "absent.wav"], 1, "absent.wav"),
        (["--input", "a.wav", "--microphone", "2"], 2, "not both"),
        (["--input", "a.wav", "--speed", "-1"], 2, "0 or more"),
        (["--input", str(RECORDINGS[0]), "--format", "doc"], 2, "txt, jsonl, srt"),
        (["--input", str(RECORDINGS[0]), "--save-audio", "absent/a.wav"], 2, "cannot write absent"),
        (["--input", str(RECORDINGS[0]), "--out", "absent/a.txt"], 2, "cannot write absent"),
        (["--input", str(RECORDINGS[0]), "--delay-ms", "5"], 2, "at least 40 ms"),
        (["--ray", "--input", str(RECORDINGS[0]), "--delay-ms", "5"], 2, "at least 40 ms"),
    ],
)
def test_misuse_is_said(arguments: list[str], status: int, said: str, model: Path) -> None:
    done = asr("live", *arguments, model=model)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("given", "said"), [(b"OggS" + bytes(5000), "raw samples"), (b"", "no samples")])
def test_what_is_no_raw_sound_on_stdin_is_named(model: Path, given: bytes, said: str) -> None:
    done = asr("live", "--input", "-", stdin=given, model=model)
    assert (done.returncode, said in done.stderr) == (1, True)


def test_a_recording_that_is_there_is_not_written_over(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(1), 16_000)
    before = (tmp_path / "a.wav").read_bytes()
    done = asr("live", "-i", tmp_path / "a.wav", "--speed", 0, "--save-audio", tmp_path / "a.wav", model=model)
    assert (done.returncode, "is there already" in done.stderr) == (2, True)
    assert (tmp_path / "a.wav").read_bytes() == before


def test_a_name_that_is_no_utf_8_stands_as_transcribe_writes_it(model: Path, tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff.wav")
    soundfile.write(tmp_path / "a.wav", speech(1), 16_000)
    (tmp_path / "a.wav").rename(odd)
    done = asr("live", "-i", odd, "--speed", 0, "--json", "--out", tmp_path / "out.ctm", model=model)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["stream"].endswith("odd\\udcff.wav")
    assert "odd\\udcff.wav 1 " in (tmp_path / "out.ctm").read_text()


def test_words_are_kept_in_the_file_though_nobody_reads_stdout(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(3), 16_000)
    command = [Path(sys.executable).with_name("asr"), "live", "-i", tmp_path / "a.wav", "--speed", "0", "--json"]
    process = subprocess.Popen(
        [*map(str, command), "--out", str(tmp_path / "out.txt"), "--model", str(model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.wait(60)
    assert (tmp_path / "out.txt").read_text().strip()


def test_what_is_heard_is_not_written_into(model: Path, tmp_path: Path) -> None:
    shutil.copy(RECORDINGS[0], tmp_path / "talk.opus")
    done = asr("live", "-i", tmp_path / "talk.opus", "--out", tmp_path / "talk.opus", model=model)
    assert (done.returncode, "it is read, and would be lost" in done.stderr) == (2, True)
    assert (tmp_path / "talk.opus").read_bytes() == RECORDINGS[0].read_bytes()


def test_a_file_that_takes_no_more_words_ends_itself_and_not_the_hearing(model: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", speech(3), 16_000)
    played = asr("live", "-i", tmp_path / "a.wav", "--speed", 0, "--out", "/dev/full", model=model)
    assert played.stdout == asr("transcribe", tmp_path / "a.wav", model=model).stdout != ""
    assert played.returncode == 1
    assert played.stderr.count("--out: No space left on device: what is said from now on is not written there") == 1


def test_a_pipe_with_a_name_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    done = asr("live", "-i", tmp_path / "pipe")
    assert (done.returncode, f"--input - < {tmp_path / 'pipe'}" in done.stderr) == (2, True)
