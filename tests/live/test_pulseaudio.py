"""The real way of a microphone: PulseAudio, ALSA, PortAudio, `asr live`; a recording is played into it."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import TextIO

import numpy as np
import pytest
import soundfile

from asr.evaluation.alignment import align
from asr.evaluation.normalise import basic
from asr.recognizer import MODELS, Recognizer
from tests.live import pulseaudio
from tests.recordings import RECORDINGS

MODEL = Path(os.environ.get("ASR_TEST_MODEL", MODELS / "small"))
ASR = str(Path(sys.executable).with_name("asr"))
NAMES = ("librispeech-6930-81414-000014-000003", "librispeech-5639-40744-000003-000012")
# Of the words: between those said live and those of the sound that it saved, which differ by rounding to 16 bit;
# and those of the file played, for a busy machine's sound system loses some of it on the way.
MOST_DIFFERENT, MOST_LOST = 0.15, 0.5

reason = pulseaudio.missing() or ("" if MODEL.is_dir() else f"there is no packaged model in {MODEL.name}")
pytestmark = pytest.mark.skipif(bool(reason), reason=reason or "nothing is missing")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with pulseaudio.sound_system(tmp_path_factory.mktemp("pulse")) as environment:
        yield environment


class Listening:
    """`asr live` on the device "pulse", its events read as they come."""

    def __init__(self, environment: dict[str, str], *options: str) -> None:
        command = [ASR, "live", "--microphone", "pulse", "--json", "--model", str(MODEL), *options]
        self._process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._said: Queue[str] = Queue()
        self.notices: list[str] = []
        self.events: list[dict[str, object]] = []
        readers = ((self._process.stdout, self._said.put), (self._process.stderr, self.notices.append))
        self._threads = [threading.Thread(target=self._read, args=reader, daemon=True) for reader in readers]
        for thread in self._threads:
            thread.start()

    @staticmethod
    def _read(stream: TextIO, take: Callable[[str], None]) -> None:
        with stream:
            for line in stream:
                take(line)

    def wait_until_open(self, timeout_s: float = 90.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not any("listening to" in line for line in self.notices):
            assert self._process.poll() is None, self.notices
            assert time.monotonic() < deadline, self.notices
            time.sleep(0.05)

    def wait_until_settled(self, quiet_s: float = 4.0, timeout_s: float = 90.0) -> None:
        """Until there is a final and nothing more has come for a while: a slow machine may lag behind the sound."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                self.events.append(json.loads(self._said.get(timeout=quiet_s)))
            except Empty:
                if any(x["type"] == "final" for x in self.events):
                    return

    def end(self) -> int:
        """Ctrl-C; the exit status."""
        self._process.send_signal(signal.SIGINT)
        status = self._process.wait(timeout=60)
        for thread in self._threads:
            thread.join(timeout=10)
        while not self._said.empty():
            self.events.append(json.loads(self._said.get()))
        return status

    @property
    def text(self) -> str:
        return " ".join(str(x["text"]) for x in self.events if x["type"] == "final" and x["text"])


def recording(folder: Path) -> Path:
    """Two sample recordings with pauses, as a wav file."""
    parts = [soundfile.read(path, dtype="float32")[0] for path in RECORDINGS if path.stem in NAMES]
    assert len(parts) == len(NAMES)
    soundfile.write(folder / "said.wav", np.concatenate([np.pad(part, (8_000, 20_000)) for part in parts]), 16_000)
    return folder / "said.wav"


def test_words_played_into_the_microphone_are_the_words_of_the_file(sound: dict[str, str], tmp_path: Path) -> None:
    said = recording(tmp_path)
    listening = Listening(sound, "--save-audio", str(tmp_path / "heard.wav"))
    try:
        listening.wait_until_open()
        time.sleep(1.0)
        pulseaudio.play(said, sound)
        listening.wait_until_settled()
    finally:
        status = listening.end()
    assert status == 0
    recognizer = Recognizer.load(MODEL)
    for path, most in ((tmp_path / "heard.wav", MOST_DIFFERENT), (said, MOST_LOST)):
        expected = basic(recognizer.transcribe(path).text)
        counts = align([expected], [basic(listening.text)])[0].counts
        assert counts.words > 10
        assert counts.errors <= most * counts.words, (path.name, expected, listening.text, listening.notices)
    assert any(x["type"] == "partial" for x in listening.events)
    heard, rate = soundfile.read(tmp_path / "heard.wav")
    assert rate == 16_000
    assert len(heard) > soundfile.info(said).frames  # all that was played, and the silence around it


def test_the_device_is_listed_and_the_doctor_reads_its_level(sound: dict[str, str]) -> None:
    listed = subprocess.run([ASR, "live", "--list-devices"], env=sound, capture_output=True, text=True, check=True)
    assert "pulse" in listed.stdout
    command = [ASR, "doctor", "--json", "--model", str(MODEL)]
    done = subprocess.run(command, env=sound, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout
    assert any("pulse" in x["found"] for x in found if x["what"] == "microphone")
    [level] = [x for x in found if x["what"] == "level"]
    assert "zeros" in level["found"]  # nothing is played into the sink
