"""The live graph on Ray: actors are killed over live streams, a driver with kill -9, and the words come once."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import soundfile

from asr.events import Event, Final
from asr.recognizer import Recognizer
from pipelines.live_graph.config import ActorConfig, GraphConfig, ModelChoice
from pipelines.live_graph.hear import hear
from pipelines.live_graph.journal import read_journal
from pipelines.live_graph.output import JOURNAL
from pipelines.live_graph.sources import sources_of
from pipelines.ray_connection import connected
from tests.pipelines.bundles import save_nonsense
from tests.recordings import speech

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*")
KILLED = ("FeatureActor", "RecognizerActor", "Capture", "Output")


class Seen:
    def __init__(self) -> None:
        self.finals: dict[str, list[str]] = defaultdict(list)
        self.notices: list[str] = []

    def show(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Final):
                self.finals[event.stream].append(event.text)

    def notice(self, message: str) -> None:
        self.notices.append(message)


class Killer(threading.Thread):
    """Kills the process of a random actor at random moments, as the system's lack of memory would."""

    def __init__(self, kills: int, seed: int) -> None:
        super().__init__(daemon=True)
        self._kills, self._chance, self.done = kills, random.Random(seed), 0
        self.over = threading.Event()

    def run(self) -> None:
        while self.done < self._kills and not self.over.wait(self._chance.uniform(0.0, 0.5)):
            processes = actors()
            if processes:
                os.kill(self._chance.choice(processes), signal.SIGKILL)
                self.done += 1


def actors() -> list[int]:
    """Processes of the graph's actors that live now."""
    from ray.util.state import list_actors

    found = list_actors(filters=[("state", "=", "ALIVE")], detail=True)
    return [actor.pid for actor in found if actor.class_name in KILLED and actor.pid]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_nonsense(tmp_path_factory.mktemp("models") / "nonsense")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    soundfile.write(path, speech(3), 16_000)
    return path


@pytest.fixture(scope="module")
def expected(model: Path, sound: Path) -> list[str]:
    live = Recognizer.load(model).live()
    events = [*live.push(soundfile.read(sound, dtype="float32")[0]), *live.finish()]
    return [event.text for event in events if isinstance(event, Final)]


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    with connected(None, cpus=8):
        yield
