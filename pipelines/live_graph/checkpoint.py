"""Where a stream can go on from: its state before a chunk, as a value; small ones, between utterances, on disk.

On disk it is a .npz of plain arrays, without pickles, and only of moments at which no utterance is open: what is left
is the detector's memory, the rule's counters and at most some tenths of a second of samples.
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


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A stream before chunk `number`."""

    number: int
    hearing: HearingState
    reading: ReadingState

    @property
    def is_between(self) -> bool:
        """Whether no utterance is open."""
        words = self.reading
        return self.hearing.open_start is None and words.open is None and not words.said


def start(stream: str) -> Checkpoint:
    """A stream before its first sample."""
    return Checkpoint(0, hearing.start(), live.start(stream).reading)


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Write a checkpoint between utterances; whole or not at all."""
    assert checkpoint.is_between
    ears, words = checkpoint.hearing, checkpoint.reading
    rule = ears.cutter.segments
    counters = [checkpoint.number, words.utterance, words.seq, ears.cutter.kept_from]
    counters += [rule.frames, rule.decided, rule.run, rule.last_speech]
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
    number, utterance, seq, kept_from, frames, decided, run, last_speech = (int(x) for x in arrays["counters"])
    rule = SegmentState(
        frames=frames, decided=decided, run=run, last_speech=last_speech, heard=tuple(arrays["heard"].tolist())
    )
    detector = DetectorState(arrays["detector_tail"], arrays["detector_hidden"])
    ears = HearingState(CutterState(detector, rule, arrays["kept"], kept_from), arrays["tail"])
    return Checkpoint(number, ears, ReadingState(stream, utterance, seq))
