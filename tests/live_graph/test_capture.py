"""The queue between sound and words: bounded, whoever is slow; what it loses it says."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from asr.audio.microphone import Notice, Samples
from asr.events import Event
from pipelines.live_graph.capture import Capture, Caught
from pipelines.live_graph.config import CHUNK, GraphConfig
from pipelines.live_graph.kept_audio import KeptAudio
from pipelines.live_graph.session import Session
from pipelines.live_graph.sources import Source
from pipelines.live_graph.stages import Features, Reader
from tests.live_graph.test_session import PlainStages
from tests.recordings import speech

BLOCK = 1600


@dataclass(frozen=True)
class Given(Source):
    """Numbered samples; a microphone's cannot wait. `gate` stalls it in its middle until it is set."""

    blocks: int = 10
    patient: bool = True
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def waits(self) -> bool:
        return self.patient

    def open(self, skip: int) -> Iterator[Samples | Notice]:
        for number in range(skip // BLOCK, self.blocks):
            if number == self.blocks // 2:
                self.gate.wait(30)
            yield np.full(BLOCK, number, np.float32)


def whole(blocks: int) -> Samples:
    return np.repeat(np.arange(blocks, dtype=np.float32), BLOCK)


def rest(capture: Capture, stream: str, number: int = 0) -> tuple[Samples, list[str]]:
    """All that is left of a stream, and what was said with it."""
    parts, notices, ended = [np.zeros(0, np.float32)], list[str](), False
    while not ended:
        samples, caught = capture.read(stream, number)
        parts.append(samples)
        notices += caught.notices
        number, ended = number + 1, caught.ended
    return np.concatenate(parts), notices


def test_a_source_that_stalls_holds_up_nobody_else_and_loses_nothing(tmp_path: Path) -> None:
    stalled, other = Given(blocks=40), Given(blocks=40)
    other.gate.set()
    capture = Capture({"stalled": stalled, "other": other}, tmp_path, queued_s=1.0)
    waiting: list[Samples] = []
    reader = threading.Thread(target=lambda: waiting.append(rest(capture, "stalled")[0]))
    reader.start()
    assert np.array_equal(rest(capture, "other")[0], whole(40))
    reader.join(0.2)
    assert reader.is_alive(), "it waits for the source, however long"
    assert capture._streams["stalled"].kept.length == 20 * BLOCK
    stalled.gate.set()
    reader.join(10)
    assert np.array_equal(waiting[0], whole(40))


def test_a_microphone_that_nobody_hears_drops_what_is_beyond_the_queue_and_says_how_much(tmp_path: Path) -> None:
    source = Given(blocks=100, patient=False)
    source.gate.set()
    capture = Capture({"a": source}, tmp_path, queued_s=2.0)
    capture._streams["a"].thread.join(10)
    kept = capture._streams["a"].kept.length
    assert 2 * 16_000 <= kept < 2 * 16_000 + BLOCK
    samples, notices = rest(capture, "a")
    assert np.array_equal(samples, whole(100)[:kept]), "what is heard is heard whole"
    assert notices == [
        f"{(100 * BLOCK - kept) / 16_000:.2f} s of sound were dropped: recognition is slower than speech here"
    ]


def test_a_capture_that_dies_and_opens_again_gives_the_same_chunks(tmp_path: Path) -> None:
    first = Given(blocks=40)
    Capture({"a": first}, tmp_path, queued_s=5.0)._streams["a"].thread.join(0.3)  # stalled in the middle: it dies there
    again = Given(blocks=40)
    again.gate.set()
    assert np.array_equal(rest(Capture({"a": again}, tmp_path, queued_s=5.0), "a")[0], whole(40))


def test_a_microphone_that_goes_on_in_a_full_folder_loses_none_of_its_first_words(tmp_path: Path) -> None:
    KeptAudio(tmp_path / "a").append(np.zeros(600 * BLOCK, np.float32))
    source = Given(blocks=605, patient=False)
    stream = Capture({"a": source}, tmp_path, queued_s=2.0)._streams["a"]
    stream.thread.join(10)
    assert stream.kept.length == 605 * BLOCK
    assert stream._notices == []


def test_who_asks_again_for_sound_that_has_not_come_frees_the_first_and_gets_what_is_said(tmp_path: Path) -> None:
    source = Given(blocks=40)
    capture = Capture({"a": source}, tmp_path, queued_s=5.0)
    capture._streams["a"]._say("something to say")
    number = 20 * BLOCK // CHUNK
    with ThreadPoolExecutor(2) as readers:
        first = readers.submit(capture.read, "a", number, 1)
        while number not in capture._streams["a"]._turns:
            time.sleep(0.01)
        second = readers.submit(capture.read, "a", number, 2)
        late = readers.submit(capture.read, "a", number, 1)  # a call of the first turn that was long on its way
        for given_up in (first, late):
            samples, caught = given_up.result(30)
            assert (len(samples), caught.samples, caught.notices) == (0, 0, ())
        assert not second.done()
        source.gate.set()
        samples, caught = second.result(30)
    assert np.array_equal(samples, whole(40)[number * CHUNK : (number + 1) * CHUNK])
    assert caught.notices == ("something to say",)


class Slow:
    """Somebody who reads the words slowly, and notes how much sound is kept beyond what was heard."""

    def __init__(self) -> None:
        self.ahead: list[int] = []
        self.look: Any = None

    def show(self, events: list[Event]) -> None:
        time.sleep(0.01)
        self.ahead.append(self.look())

    def notice(self, message: str) -> None:
        pass


def test_a_slow_reader_makes_the_source_wait_not_the_queue_grow(
    stages: tuple[Features, Reader], tmp_path: Path
) -> None:
    @dataclass(frozen=True)
    class Spoken(Source):
        @property
        def waits(self) -> bool:
            return True

        def open(self, skip: int) -> Iterator[Samples | Notice]:
            yield from np.split(sound[skip:], range(BLOCK, len(sound) - skip, BLOCK))

    sound = speech(3)
    slow, config = Slow(), replace(GraphConfig(), queued_s=1.0)
    graph = PlainStages(stages, Spoken(), tmp_path, lambda: None)
    graph._capture = Capture({"a": Spoken()}, tmp_path / "sound", queued_s=config.queued_s)
    session = Session("a", graph, slow, config, tmp_path / "a")
    slow.look = lambda: graph._capture._streams["a"].kept.length - session.chunks * CHUNK
    assert asyncio.run(session.run())
    assert len(slow.ahead) > 10
    assert max(slow.ahead) <= (config.depth + 1) * CHUNK + config.queued_s * 16_000 + BLOCK


class Faulty(Source):
    """One sound, and then an error that nobody foresaw."""

    def open(self, skip: int) -> Iterator[Samples | Notice]:
        yield np.ones(100, np.float32)
        raise ZeroDivisionError("division by zero")


def test_no_error_of_a_source_leaves_its_readers_waiting(tmp_path: Path) -> None:
    samples, caught = Capture({"a": Faulty("a.wav")}, tmp_path / "s", queued_s=5.0).read("a", 0)
    assert (len(samples), caught.ended) == (100, True)
    assert str(caught.error) == "a.wav: gives no more sound: ZeroDivisionError: division by zero"


def test_an_error_of_the_source_comes_with_the_last_chunk(tmp_path: Path) -> None:
    capture = Capture({"a": Source(str(tmp_path / "absent.wav"), speed=0)}, tmp_path / "s", queued_s=5.0)
    _, caught = capture.read("a", 0)
    assert isinstance(caught, Caught)
    assert caught.ended
    assert "absent.wav" in str(caught.error)
