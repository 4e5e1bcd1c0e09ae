"""What a killed program goes on from: taken at any moment, it gives the finals that would have come."""

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from pathlib import Path

import numpy as np
import pytest

from asr import hearing
from asr.events import Event, Final
from asr.segments import SegmentConfig, SegmentState
from pipelines.live_graph import checkpoint
from pipelines.live_graph.checkpoint import Checkpoint
from pipelines.live_graph.config import CHUNK, GraphConfig, ModelChoice
from pipelines.live_graph.session import Session
from pipelines.live_graph.sources import Source
from pipelines.live_graph.stages import Features, Reader
from tests.live_graph.test_session import PlainStages, Seen
from tests.recordings import speech

Stages = tuple[Features, Reader]


@pytest.fixture(scope="module")
def short(model: Path, stages: Stages) -> Stages:
    """Stages whose utterances are cut after three seconds at the latest."""
    features = Features(ModelChoice(str(model)))
    features._segments = SegmentConfig(longest_s=3.0)
    return features, stages[1]


def heard(stages: Stages, state: Checkpoint, samples: np.ndarray) -> Iterator[tuple[Checkpoint, list[Event]]]:
    """Chunk by chunk to the end of whole ones: the state after each, and what was said of it."""
    for number in range(state.number, len(samples) // CHUNK):
        ears, blocks = stages[0].step_many([(state.hearing, samples[number * CHUNK : (number + 1) * CHUNK])])[0]
        words, said = stages[1].step_many([(state.reading, blocks)])[0]
        state = Checkpoint(number + 1, ears, words)
        yield state, said


def finals_of(said: list[list[Event]]) -> list[tuple[int, str, float, float]]:
    finals = [event for events in said for event in events if isinstance(event, Final) and event.text]
    return [(event.utterance, event.text, event.start_s, event.end_s) for event in finals]


def test_a_checkpoint_comes_back_from_disk_wherever_it_was_taken_and_gives_the_same_finals(
    short: Stages, tmp_path: Path
) -> None:
    samples = np.concatenate([speech(2), speech(2, pause_s=0.0)])
    steps = list(heard(short, checkpoint.start("a"), samples))
    opened = 0
    for state, _ in steps[::4]:
        opened += state.hearing.open_start is not None
        checkpoint.save(state, tmp_path)
        later = heard(short, checkpoint.load("a", tmp_path), samples)
        wanted = finals_of([said for _, said in steps[state.number :]])
        assert finals_of([said for _, said in later]) == wanted
    assert 3 <= opened < len(steps[::4]) - 2, "some within utterances, some between them"


def test_a_snapshot_holds_every_field_of_the_rule(tmp_path: Path) -> None:
    values = {field.name: number for number, field in enumerate(fields(SegmentState), 1)} | {"heard": (0.25, 0.5)}
    begin, rule = checkpoint.start("a"), SegmentState(**values)
    for open_start in (None, rule.open_start):
        rule = replace(rule, open_start=open_start)
        cutter = replace(begin.hearing.cutter, segments=rule)
        checkpoint.save(replace(begin, hearing=replace(begin.hearing, cutter=cutter)), tmp_path)
        assert asdict(checkpoint.load("a", tmp_path).hearing.cutter.segments) == asdict(rule)


def test_a_snapshot_from_before_cuts_were_remembered_is_still_read(tmp_path: Path) -> None:
    cutter = hearing.start().cutter
    np.savez(
        tmp_path / checkpoint.SNAPSHOT,
        counters=np.arange(8),
        heard=np.zeros(0),
        detector_tail=cutter.detector.tail,
        detector_hidden=cutter.detector.hidden,
        kept=cutter.kept,
        tail=cutter.kept,
    )
    found = checkpoint.load("a", tmp_path)
    assert (found.number, found.reading.utterance, found.reading.seq, found.hearing.cutter.kept_from) == (0, 1, 2, 3)
    assert asdict(found.hearing.cutter.segments) == asdict(SegmentState(frames=4, decided=5, run=6, last_speech=7))


def test_a_damaged_snapshot_begins_the_stream_anew(tmp_path: Path) -> None:
    (tmp_path / checkpoint.SNAPSHOT).write_bytes(b"PK damaged")
    assert checkpoint.load("a", tmp_path).number == 0


def test_of_speech_that_never_pauses_no_more_is_kept_than_of_any_other(short: Stages, tmp_path: Path) -> None:
    forgotten = [0]

    class Noted(PlainStages):
        def forget(self, stream: str, before: int) -> None:
            forgotten.append(before)

    class Unbroken(Source):
        def open(self, skip: int) -> Iterator[np.ndarray]:
            yield np.tile(speech(1, pause_s=0.0)[8000:40_000], 6)[skip:]

    config = replace(GraphConfig(), checkpoint=4, snapshot_s=2.0)
    graph = Noted(short, Unbroken("speech"), tmp_path, lambda: None)
    assert asyncio.run(Session("a", graph, Seen(), config, tmp_path / "a").run())
    assert len(forgotten) > 3
    assert max(np.diff(forgotten)) <= 8 * CHUNK
