"""Where a stream can go on from: its state before a chunk, as a value; now and then on disk.

On disk it is a .npz of plain arrays, without pickles. Of an utterance that is open it holds the samples, not what was
made of them: loaded, the utterance's frames and partials are made again from its first sample. So a stream that never
pauses has snapshots too, and what is kept of a pause is some tenths of a second.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from asr import hearing, live
from asr.audio.detector import DetectorState
from asr.cutting import CutterState
from asr.hearing import HearingState
from asr.live import ReadingState
from asr.segments import SegmentState

SNAPSHOT = "snapshot.npz"
_NONE = -1  # where no utterance is open
_AT_FIRST, _LATER = 8, [0, _NONE]  # counters of the oldest snapshots, and what those mean that came later


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A stream before chunk `number`."""

    number: int
    hearing: HearingState
    reading: ReadingState


def start(stream: str) -> Checkpoint:
    """A stream before its first sample."""
    return Checkpoint(0, hearing.start(), live.start(stream).reading)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint; whole or not at all."""
    ears, words = checkpoint.hearing, checkpoint.reading
    rule = ears.cutter.segments
    counters = [checkpoint.number, words.utterance, words.seq, ears.cutter.kept_from]
    counters += [rule.frames, rule.decided, rule.run, rule.last_speech]
    counters += [rule.goes_on_until, _NONE if rule.open_start is None else rule.open_start]
    part = folder / f".{SNAPSHOT}.part"
    with part.open("wb") as file:
        np.savez(
            file,
            counters=np.array(counters, np.int64),
            heard=np.array(rule.heard, np.float64),
            detector_tail=ears.cutter.detector.tail,
            detector_hidden=ears.cutter.detector.hidden,
            kept=ears.cutter.kept,
            tail=ears.tail,
        )
        file.flush()
        os.fsync(file.fileno())
    part.replace(folder / SNAPSHOT)


def load(stream: str, folder: Path) -> Checkpoint:
    """The last checkpoint saved, else the stream's start."""
    try:
        with np.load(folder / SNAPSHOT, allow_pickle=False) as found:
            arrays = dict(found)
    except (FileNotFoundError, BadZipFile, ValueError):
        return start(stream)
    counters = [int(x) for x in arrays["counters"]]
    counters += _LATER[len(counters) - _AT_FIRST :]
    number, utterance, seq, kept_from, frames, decided, run, last_speech, goes_on_until, open_start = counters
    rule = SegmentState(
        frames=frames,
        decided=decided,
        run=run,
        open_start=None if open_start == _NONE else open_start,
        last_speech=last_speech,
        goes_on_until=goes_on_until,
        heard=tuple(arrays["heard"].tolist()),
    )
    detector = DetectorState(arrays["detector_tail"], arrays["detector_hidden"])
    ears = HearingState(CutterState(detector, rule, arrays["kept"], kept_from), arrays["tail"])
    return Checkpoint(number, ears, ReadingState(stream, utterance, seq))
