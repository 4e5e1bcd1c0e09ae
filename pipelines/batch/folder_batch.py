"""A list of recordings to files in a folder, over a pool of workers, with a ledger that outlives every crash."""

import sqlite3
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from asr.audio.parts import Part
from asr.decoding.words import Transcript
from asr.errors import AsrError, ConfigError
from asr.output.formats import FORMATS
from asr.writing import write_whole
from pipelines.batch.ledger import NAME, Ledger, Row, hash_settings
from pipelines.batch.pool import Failed, Heard, Job, Outcome, Pool, PoolConfig, Worker
from pipelines.interrupt import sure_interrupt
from pipelines.output_names import known_as
from pipelines.ray_connection import data_only_on_stdout
from pipelines.sources import Found


def run_batch(
    found: Sequence[Found],
    out: Path,
    formats: tuple[str, ...],
    config: PoolConfig,
    *,
    retry_failed: bool = False,
    worker: type = Worker,
) -> int:
    """Do what the ledger does not call done; the exit status: 0 well, 1 something failed, 130 Ctrl-C.

    Recordings that failed before and have not changed are not tried again unless `retry_failed`; they count as failed.
    Raises ConfigError while another run writes to `out`, AsrError where the ledger cannot be kept, as on a full disk.
    """
    batch = _Batch(found, out, formats)
    try:
        return _run_batch(batch, Ledger(out), _settings(config, formats), config, retry_failed, worker)
    except sqlite3.Error as error:
        problem = f"the ledger cannot be kept: {error}. What is done stays done; the same command goes on from there"
        raise AsrError(out / NAME, problem) from error


def _run_batch(
    batch: "_Batch", ledger: Ledger, settings: str, config: PoolConfig, retry_failed: bool, worker: type
) -> int:
    try:
        failures, todo = batch.plan(ledger, settings, retry_failed)
        if todo:
            with data_only_on_stdout():
                failures += batch.run(ledger, todo, config, worker)
    except KeyboardInterrupt:
        ledger.release()
        print("asr: stopped; the same command goes on from here", file=sys.stderr)
        return 130
    finally:
        ledger.close()
    return 1 if failures else 0


def _settings(config: PoolConfig, formats: tuple[str, ...]) -> str:
    from asr.recognizer import find_model

    return hash_settings(find_model(config.model), config.device, config.precision, config.decoding, *formats)


class _Batch:
    """The recordings of one run, by the stem under which their outputs are written."""

    def __init__(self, found: Sequence[Found], out: Path, formats: tuple[str, ...]) -> None:
        if any(recording.path is None for recording in found):
            raise ConfigError("-", "standard input cannot be spread over workers; leave --workers out")
        self._found = {known_as(recording): recording for recording in found}
        self._out, self._formats = out, formats

    def plan(self, ledger: Ledger, settings_hash: str, retry_failed: bool) -> tuple[int, list[str]]:
        """How many have failed already, and the stems of those to do."""
        failures, todo = 0, list[str]()
        for stem, recording in self._found.items():
            assert recording.path is not None
            try:
                row = ledger.enter(stem, recording.path, settings_hash, retry_failed=retry_failed)
            except AsrError as error:
                failures += 1
                print(f"asr: {error}", file=sys.stderr)
                continue
            if row.state in ("failed", "quarantined"):
                failures += 1
                print(f"asr: {row.message} (before; --retry-failed tries again)", file=sys.stderr)
            elif row.state != "done" or not self._written(row):
                ledger.queue(stem)
                todo.append(stem)
        return failures, todo

    def run(self, ledger: Ledger, todo: list[str], config: PoolConfig, worker: type) -> int:
        """Do them; how many failed."""
        jobs = {self._job(stem): stem for stem in todo}
        pool, progress = Pool(config, worker), _Progress(len(todo))
        try:
            with sure_interrupt() as check:
                for job, outcome in pool.run(jobs, lambda job: ledger.run(jobs[job])):
                    progress.advance(self._keep(ledger, jobs[job], outcome))
                    check()
        finally:
            pool.close()
        return progress.failures

    def _job(self, stem: str) -> Job:
        recording = self._found[stem]
        assert recording.path is not None
        path = recording.path.absolute()  # a worker stands in another folder
        part = replace(recording.source, recording=path) if isinstance(recording.source, Part) else None
        return Job(recording.name, path, part)

    def _keep(self, ledger: Ledger, stem: str, outcome: Outcome) -> Outcome:
        """The outcome; where its text cannot be written, Failed, and the recording is to be done again."""
        try:
            self._write_outcome(ledger, stem, outcome)
        except AsrError as error:
            message = f"{self._found[stem].name}: its text cannot be written: {error}"
            print(f"asr: {message}", file=sys.stderr)
            ledger.queue(stem)
            return Failed(error.code, message)
        return outcome

    def _write_outcome(self, ledger: Ledger, stem: str, outcome: Outcome) -> None:
        if not isinstance(outcome, Heard):
            print(f"asr: {outcome.message}", file=sys.stderr)
            if outcome.heard is not None:
                self._write(stem, outcome.heard)
            ledger.fail(stem, outcome.code, outcome.message, quarantine=outcome.quarantine)
            return
        for note in outcome.transcript.notes:
            print(f"asr: {self._found[stem].name}: {note}", file=sys.stderr)
        self._write(stem, outcome.transcript)
        ledger.done(stem, audio_hash=outcome.audio_hash, seconds=outcome.transcript.duration_s)

    def _write(self, stem: str, transcript: Transcript) -> None:
        for name, path in self._files(stem).items():
            write_whole(path, FORMATS[name](transcript))

    def _written(self, row: Row) -> bool:
        return all(path.is_file() for path in self._files(row.stem).values())

    def _files(self, stem: str) -> dict[str, Path]:
        """Format -> the file that it is written to."""
        return {name: self._out / f"{self._found[stem].stem}.{name}" for name in self._formats}


class _Progress:
    """Files, hours, real-time factor, failures, time left: a line on stderr every ten seconds, and one at the end."""

    def __init__(self, total: int, every_s: float = 10.0) -> None:
        self._total, self._every_s = total, every_s
        self._began = self._said = time.perf_counter()
        self._done, self._seconds = 0, 0.0
        self.failures = 0

    def advance(self, outcome: Outcome) -> None:
        """One more is done."""
        self._done += 1
        if isinstance(outcome, Heard):
            self._seconds += outcome.transcript.duration_s
        else:
            self.failures += 1
        now = time.perf_counter()
        if self._done == self._total or now - self._said >= self._every_s:
            self._said = now
            print(self._line(now - self._began), file=sys.stderr, flush=True)

    def _line(self, wall_s: float) -> str:
        left_s = wall_s / self._done * (self._total - self._done)
        factor = wall_s / self._seconds if self._seconds else 0.0
        hours = f"{self._seconds / 3600:.2f} h of audio, real-time factor {factor:.3f}"
        return f"asr: {self._done} of {self._total} files, {hours}, {self.failures} failed, {left_s:.0f} s left"
