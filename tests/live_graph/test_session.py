"""Sessions over the plain stages: what is lost on the way is done again, and comes once."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from asr.errors import AudioError
from asr.events import Event, Final
from asr.recognizer import Recognizer
from pipelines.live_graph import session
from pipelines.live_graph.capture import Capture
from pipelines.live_graph.config import CHUNK, GraphConfig
from pipelines.live_graph.journal import read_journal
from pipelines.live_graph.output import JOURNAL, Output, Written
from pipelines.live_graph.session import LostError, Session
from pipelines.live_graph.sources import Source
from pipelines.live_graph.stages import Features, Reader
from tests.recordings import speech

QUICK = replace(GraphConfig(), checkpoint=4, snapshot_s=1.0, replays=1000)


class Crash(BaseException):
    """The whole program dies."""


class Seen:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.notices: list[str] = []

    def show(self, events: list[Event]) -> None:
        self.events += events

    def notice(self, message: str) -> None:
        self.notices.append(message)


class PlainStages:
    """The graph in one process. `fate` is asked before each answer and may raise."""

    def __init__(
        self,
        stages: tuple[Features, Reader],
        source: Source,
        folder: Path,
        fate: Any,
        name: str = "a",
        out: Path | None = None,
    ) -> None:
        self._features, self._reader = stages
        self._capture, self._output = Capture({name: source}, folder, queued_s=5.0), Output(folder, out)
        self._fate, self.losses, self.longest = fate, 0, 0

    def read(self, stream: str, number: int) -> tuple[Any, Any]:
        return self._capture.read(stream, number)

    def hear(self, stream: str, hearing: Any, samples: Any) -> tuple[Any, Any]:
        return self._features.step_many([(hearing, samples)])[0]

    def finish(self, stream: str, hearing: Any) -> Any:
        return self._features.finish(hearing)

    def say(self, stream: str, reading: Any, heard: Any) -> tuple[Any, Any]:
        return self._reader.step_many([(reading, heard)])[0]

    async def get(self, stream: str, ref: Any, *, patient: bool = False) -> Any:
        self._fate()
        return ref

    async def written(self, stream: str) -> Written:
        return self._output.written(stream)

    async def write(self, finals: Sequence[Final]) -> str:
        self._fate()
        said = self._output.write(finals)
        self._fate()
        return said

    async def end(self, stream: str) -> None:
        self._output.end(stream)

    def forget(self, stream: str, before: int) -> None:
        self._capture.forget(stream, before)

    def rest(self, stream: str) -> None:
        pass

    def moved(self, stream: str) -> None:
        self.losses += 1


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sound") / "speech.wav"
    soundfile.write(path, speech(3), 16_000)
    return path


@pytest.fixture(scope="module")
def expected(model: Path, sound: Path) -> list[str]:
    """The finals of the undisturbed stream, by the library."""
    live = Recognizer.load(model).live()
    events = [*live.push(soundfile.read(sound, dtype="float32")[0]), *live.finish()]
    return [event.text for event in events if isinstance(event, Final)]


def run(stages: tuple[Features, Reader], sound: Path, folder: Path, fate: Any = lambda: None) -> tuple[bool, Seen, int]:
    seen, graph = Seen(), PlainStages(stages, Source(str(sound), speed=0), folder, fate)
    done = asyncio.run(Session("a", graph, seen, QUICK, folder / "a").run())
    return done, seen, graph.losses


def journal_texts(folder: Path) -> list[str]:
    return [entry["text"] for entry in read_journal(folder / JOURNAL) if "utterance" in entry]


def test_an_undisturbed_session_says_what_the_library_says(
    stages: tuple[Features, Reader], sound: Path, expected: list[str], tmp_path: Path
) -> None:
    done, seen, _ = run(stages, sound, tmp_path)
    assert done
    assert [event.text for event in seen.events if isinstance(event, Final)] == expected != []
    assert journal_texts(tmp_path) == expected
    assert [event.seq for event in seen.events] == list(range(len(seen.events)))


def test_a_text_file_that_takes_no_more_is_said_once_and_all_words_are_shown(
    stages: tuple[Features, Reader], sound: Path, expected: list[str], tmp_path: Path
) -> None:
    graph = PlainStages(stages, Source(str(sound), speed=0), tmp_path, lambda: None, out=Path("/dev/full"))
    seen = Seen()
    assert not asyncio.run(Session("a", graph, seen, QUICK, tmp_path / "a").run())
    assert [event.text for event in seen.events if isinstance(event, Final)] == expected
    assert seen.notices == ["--out: No space left on device: what is said from now on is not written there"]


@pytest.mark.parametrize("seed", range(2))
def test_steps_that_are_lost_at_random_cost_no_word_and_repeat_none(
    stages: tuple[Features, Reader], sound: Path, expected: list[str], tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)

    def fate() -> None:
        if chance.random() < 0.1:
            raise LostError("killed")

    done, seen, losses = run(stages, sound, tmp_path, fate)
    assert done
    assert losses >= 3
    assert [event.text for event in seen.events if isinstance(event, Final)] == expected
    assert journal_texts(tmp_path) == expected
    sequence = [event.seq for event in seen.events]
    assert sequence == sorted(set(sequence)), "nothing is shown twice"


def test_a_program_that_dies_at_random_again_and_again_writes_each_final_once(
    stages: tuple[Features, Reader], sound: Path, expected: list[str], tmp_path: Path
) -> None:
    chance, deaths = random.Random(5), 0
    while True:
        left = chance.randrange(5, 25)  # a life longer than a checkpoint now and then: shorter ones gain nothing

        def fate() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                raise Crash

        try:
            done, _, _ = run(stages, sound, tmp_path, fate)
        except Crash:
            deaths += 1
            continue
        assert done
        break
    assert deaths >= 4
    assert journal_texts(tmp_path) == expected
    assert run(stages, sound, tmp_path)[1].events == [], "a session that has ended says nothing more"


def test_a_place_where_all_workers_die_ends_the_stream_with_an_error(
    stages: tuple[Features, Reader], sound: Path, tmp_path: Path
) -> None:
    def fate() -> None:
        raise LostError("killed")

    seen, graph = Seen(), PlainStages(stages, Source(str(sound), speed=0), tmp_path, fate)
    assert not asyncio.run(Session("a", graph, seen, replace(QUICK, replays=3), tmp_path / "a").run())
    assert "in a row were lost" in seen.events[-1].fields()["message"]


def test_a_loss_costs_only_what_was_under_way(stages: tuple[Features, Reader], sound: Path, tmp_path: Path) -> None:
    asked = list[int]()

    class Noted(PlainStages):
        def read(self, stream: str, number: int) -> tuple[Any, Any]:
            asked.append(number)
            if len(asked) == 40:
                self._fate = losing
            return super().read(stream, number)

    def losing() -> None:
        graph._fate = lambda: None
        raise LostError("killed")

    graph = Noted(stages, Source(str(sound), speed=0), tmp_path, lambda: None)
    config = replace(QUICK, checkpoint=1000)
    assert asyncio.run(Session("a", graph, Seen(), config, tmp_path / "a").run())
    again = len(asked) - len(set(asked))
    assert (graph.losses, 0 < again <= config.depth) == (1, True)


def test_a_stream_that_waits_for_sound_or_has_ended_is_not_late(
    stages: tuple[Features, Reader], sound: Path, tmp_path: Path
) -> None:
    waiting, working = list[float](), list[float]()

    class Noted(PlainStages):
        async def get(self, stream: str, ref: Any, *, patient: bool = False) -> Any:
            (waiting if patient else working).append(heard.lag_s)
            return ref

    graph = Noted(stages, Source(str(sound), speed=0), tmp_path, lambda: None)
    heard = Session("a", graph, Seen(), QUICK, tmp_path / "a")
    assert asyncio.run(heard.run())
    assert max(working) > 0
    assert set(waiting) == {0.0}
    assert heard.lag_s == 0


class OneWorker(PlainStages):
    """All streams' steps are one worker's, who takes those together that come within 2 ms; one kills it."""

    together: asyncio.Task[bool] | None = None
    kills = False
    heard = 0

    async def get(self, stream: str, ref: Any, *, patient: bool = False) -> Any:
        if isinstance(ref, list):  # of events
            OneWorker.together = self.together or asyncio.create_task(self._work())
            OneWorker.kills |= stream == "kills" and self.heard > 30
            if await self.together:
                raise LostError("killed")
            self.heard += 1
        return ref

    async def _work(self) -> bool:
        await asyncio.sleep(0.002)
        killed, OneWorker.together, OneWorker.kills = self.kills, None, False
        return killed


def test_a_stream_that_kills_its_workers_ends_and_takes_no_other_with_it(
    stages: tuple[Features, Reader],
    sound: Path,
    expected: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(1)
    monkeypatch.setattr(session.random, "uniform", lambda a, b: chance.uniform(a, b / 20))
    seen = {name: Seen() for name in ("kills", "b", "c")}

    async def run() -> list[bool]:
        sessions = []
        for name, viewer in seen.items():
            graph = OneWorker(stages, Source(str(sound), speed=0), tmp_path / name, lambda: None, name)
            sessions.append(Session(name, graph, viewer, replace(QUICK, replays=8), tmp_path / name / name))
        return await asyncio.gather(*(x.run() for x in sessions))

    assert asyncio.run(run()) == [False, True, True]
    for name in ("b", "c"):
        assert [event.text for event in seen[name].events if isinstance(event, Final)] == expected


def test_a_file_that_is_no_sound_ends_its_stream_with_the_reason(
    stages: tuple[Features, Reader], tmp_path: Path
) -> None:
    (tmp_path / "bad.wav").write_text("this is no sound\n" * 9)
    done, seen, _ = run(stages, tmp_path / "bad.wav", tmp_path / "s")
    assert not done
    assert (seen.events[-1].fields()["code"], "bad.wav" in seen.events[-1].fields()["message"]) == (
        AudioError.code,
        True,
    )


def test_a_source_waits_while_nobody_asks_and_gives_all_afterwards(sound: Path, tmp_path: Path) -> None:
    samples = soundfile.read(sound, dtype="float32")[0]
    capture = Capture({"a": Source(str(sound), speed=0)}, tmp_path, queued_s=2.0)
    first, _ = capture.read("a", 0)
    kept = capture._streams["a"].kept
    capture._streams["a"].thread.join(0.3)
    assert kept.length <= CHUNK + 3 * 16_000, "two seconds and a block of the reader's, though nobody reads"
    found, number, ended = [first], 0, False
    while not ended:
        number += 1
        part, caught = capture.read("a", number)
        found.append(part)
        ended = caught.ended
    assert np.array_equal(np.concatenate(found), samples)
