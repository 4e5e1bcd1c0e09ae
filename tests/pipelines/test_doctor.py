import json
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from asr.errors import AudioError
from asr.recognizer import Recognizer
from pipelines import diagnosis
from tests.live.test_microphone import FakeSound
from tests.pipelines.bundles import save_nonsense
from tests.pipelines.test_transcribe import asr
from tests.recordings import tone


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


def test_a_machine_on_which_all_works_has_no_problem(model: Path) -> None:
    done = asr("doctor", "--json", "--no-listen", model=model)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, done.stdout + done.stderr
    assert {"Python", "packages", "device", "microphone", "model", "self-test", "disk"} == {x["what"] for x in found}
    assert not [x for x in found if x["level"] == "problem"]
    assert all(x["advice"] for x in found if x["level"] != "ok")


def test_a_missing_model_is_a_problem_with_advice_and_the_other_checks_go_on(tmp_path: Path) -> None:
    done = asr("doctor", "--no-listen", model=tmp_path / "none")
    assert done.returncode == 1
    assert "problem  model" in done.stdout
    assert "→ train one" in done.stdout
    assert "disk:" in done.stdout
    assert "Traceback" not in done.stderr


def findings(sounddevice: Any) -> dict[str, diagnosis.Finding]:
    return {x.what: x for x in diagnosis.check_microphones(sounddevice, listen=True)}


def test_a_microphone_is_named_and_its_level_read() -> None:
    found = findings(FakeSound([tone(1.5, 48_000)]))
    assert "Fake (2 channels, 48000 Hz)" in found["microphone"].found
    assert (found["level"].level, found["level"].found.split()[0]) == ("ok", "-13")


@pytest.mark.parametrize(
    ("play", "said"), [(np.zeros(72_000), "zeros"), (1e-5 * tone(1.5, 48_000), "faint"), (None, "cannot be opened")]
)
def test_a_microphone_that_gives_nothing_is_a_warning_with_advice(play: np.ndarray | None, said: str) -> None:
    level = findings(FakeSound([play]))["level"]
    assert level.level == "warning"
    assert said in level.found
    assert level.advice


def test_without_portaudio_or_devices_there_are_only_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent() -> None:
        raise AudioError(
            "microphone", "PortAudio is not installed; on Debian and Ubuntu: apt-get install libportaudio2"
        )

    monkeypatch.setattr("asr.audio.microphone.load_sounddevice", absent)
    [found] = diagnosis.check_microphones(listen=True)
    assert (found.level, "apt-get" in found.advice) == ("warning", True)
    none = SimpleNamespace(
        query_devices=list, default=SimpleNamespace(device=(-1, -1)), PortAudioError=FakeSound.PortAudioError
    )
    [found] = diagnosis.check_microphones(none, listen=True)
    assert (found.level, found.found) == ("warning", "PortAudio works, but no device records")


def test_a_missing_package_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["numpy>=1", "no-such-thing>=1", 'x; extra == "dev"'])
    problem, rest = diagnosis.check_packages()
    assert (problem.level, problem.found) == ("problem", "missing: no-such-thing")
    assert rest.found.startswith("1 of 2 there; numpy")


def test_without_the_samples_a_tone_is_heard(model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(diagnosis, "SAMPLES", tmp_path)
    assert diagnosis._self_test(Recognizer.load(model)).found == "a tone passes through the network"


def test_a_full_disk_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    assert {x.level for x in diagnosis.check_disk()} == {"warning"}
