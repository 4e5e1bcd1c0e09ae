"""The live graph on Ray: actors are killed over live streams, a driver with kill -9, and the words come once."""

import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
import ray
import soundfile

from asr.events import Event, Failure, Final
from asr.recognizer import Recognizer
from pipelines.live_graph.config import ActorConfig, GraphConfig, ModelChoice
from pipelines.live_graph.graph import Graph
from pipelines.live_graph.hear import hear
from pipelines.live_graph.journal import read_journal
from pipelines.live_graph.output import JOURNAL
from pipelines.live_graph.sources import Source
from tests.on_ray.killing import Killer
from tests.pipelines.bundles import save_nonsense
from tests.recordings import speech

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::FutureWarning:ray.*")
KINDS = ("FeatureActor", "RecognizerActor", "Capture", "Output")
ONE = ActorConfig(cpus=0.5)


class Seen:
    def __init__(self) -> None:
        self.finals: dict[str, list[str]] = defaultdict(list)
        self.failures: list[str] = []

    def show(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Final):
                self.finals[event.stream].append(event.text)
            if isinstance(event, Failure):
                self.failures.append(event.message)

    def notice(self, message: str) -> None:
        pass


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
    """What the library says, undisturbed, in one process."""
    live = Recognizer.load(model).live()
    events = [*live.push(soundfile.read(sound, dtype="float32")[0]), *live.finish()]
    return [event.text for event in events if isinstance(event, Final)]


def journal(folder: Path) -> dict[str, list[str]]:
    texts: dict[str, list[str]] = defaultdict(list)
    for entry in read_journal(folder / JOURNAL):
        if "utterance" in entry:
            texts[entry["stream"]].append(entry["text"])
    return dict(texts)


@pytest.mark.usefixtures("ray_here")
def test_killed_workers_cost_no_word_and_repeat_none(
    model: Path, sound: Path, expected: list[str], tmp_path: Path
) -> None:
    sources = {name: Source(str(sound), speed=2.0) for name in ("a", "b", "c")}
    config = replace(GraphConfig(), features=ONE, recognizers=ONE, checkpoint=4, snapshot_s=1.0)
    seen, killer = Seen(), Killer(12, KINDS, seed=1)
    killer.start()
    try:
        heard = hear(sources, ModelChoice(str(model)), config, seen, session=tmp_path / "s", out=tmp_path / "words.txt")
    finally:
        killer.over.set()
        killer.join()
    assert heard, seen.failures
    assert killer.dead.total() >= 5, f"too few died to prove anything: {killer.dead}"
    wanted = dict.fromkeys(sources, expected)
    assert seen.finals == wanted
    assert journal(tmp_path / "s") == wanted
    lines = (tmp_path / "words.txt").read_text().splitlines()
    assert sorted(lines) == sorted(f"{name}\t{text}" for name in sources for text in expected if text)


@pytest.mark.usefixtures("ray_here")
def test_streams_end_when_they_are_told_to_however_many_reads_wait_for_sound(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        silent = Source(f"tcp://127.0.0.1:{free.getsockname()[1]}")
    graph = Graph(ray, ModelChoice("small"), GraphConfig(), {"a": silent}, tmp_path, None)
    try:
        caught = [graph.read("a", number)[1] for number in range(20)]
        graph.stop()
        assert all(x.ended for x in ray.get(caught, timeout=120))
    finally:
        graph.close()


class Scraper(threading.Thread):
    """Asks as Prometheus does, until it is told that all is over or all that it waits for was there."""

    def __init__(self, wanted: set[str]) -> None:
        super().__init__(daemon=True)
        self.wanted, self.over = wanted, threading.Event()
        [node] = ray.nodes()
        self._address = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"

    def run(self) -> None:
        while self.wanted and not self.over.wait(0.3):
            with urllib.request.urlopen(self._address, timeout=10) as answer:
                lines = answer.read().decode().splitlines()
            told = {re.split("[{ ]", line)[0] for line in lines if line[:1] != "#" and float(line.split()[-1]) > 0}
            self.wanted -= told


@pytest.mark.usefixtures("ray_here")
def test_prometheus_is_told_of_lag_batches_work_sound_and_streams(model: Path, sound: Path) -> None:
    names = ("lag_seconds_sum", "audio_seconds_total", "open_streams", "step_seconds_sum", "batch_size_count")
    scraper, seen = Scraper({f"ray_asr_{name}" for name in names}), Seen()
    scraper.start()
    assert hear({"a": Source(str(sound), speed=1.0)}, ModelChoice(str(model)), GraphConfig(), seen), seen.failures
    scraper.over.set()
    scraper.join()
    assert not scraper.wanted


def test_a_driver_killed_in_the_middle_goes_on_where_its_journal_ends(
    ray_here: str, model: Path, sound: Path, expected: list[str], tmp_path: Path
) -> None:
    folder, out = tmp_path / "s", tmp_path / "words.txt"
    command = [str(Path(sys.executable).with_name("asr")), "live", "--address", ray_here, "--input", str(sound)]
    command += ["--speed", "2", "--session", str(folder), "--out", str(out), "--model", str(model)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        deadline = time.monotonic() + 60
        while not journal(folder) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[0].decode()
    assert process.returncode == -signal.SIGKILL, said
    [(name, before)] = journal(folder).items()
    assert 0 < len(before) < len(expected)
    seen = Seen()
    assert hear(
        {name: Source(str(sound), speed=0)}, ModelChoice(str(model)), GraphConfig(), seen, session=folder, out=out
    ), seen.failures
    assert journal(folder) == {name: expected}
    assert [*before, *seen.finals[name]] == expected
    assert out.read_text().splitlines() == [text for text in expected if text]
