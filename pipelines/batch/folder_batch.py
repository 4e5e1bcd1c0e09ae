"""A list of recordings to files in a folder, over a pool of workers, with a ledger that outlives every crash."""

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
from pipelines.batch.ledger import Ledger, Row, hash_settings
from pipelines.batch.pool import Heard, Job, Outcome, Pool, PoolConfig, Worker
from pipelines.interrupt import sure_interrupt
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
    Raises ConfigError while another run writes to `out`.
    """
    batch = _Batch(found, out, formats)
    ledger = Ledger(out)
    try:
        failures, todo = batch.plan(ledger, _settings(config, formats), retry_failed)
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
        self._found = {str(recording.stem): recording for recording in found}
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
                    self._keep(ledger, jobs[job], outcome)
                    progress.advance(outcome)
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

    def _keep(self, ledger: Ledger, stem: str, outcome: Outcome) -> None:
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
        for name in self._formats:
            write_whole(self._out / f"{stem}.{name}", FORMATS[name](transcript))

    def _written(self, row: Row) -> bool:
        return all((self._out / f"{row.stem}.{name}").is_file() for name in self._formats)


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
