"""The ledger of a folder batch: SQLite, one row a recording, true after a crash at any moment. Knows no Ray.

A row goes queued -> running -> done | failed | quarantined. The outputs are written before `done` is, so a crash
between the two costs the same bytes written again, never a recording.
"""

import hashlib
import os
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from asr.errors import AudioError, ConfigError
from asr.writing import printable
from pipelines.outputs import lock

NAME = "ledger.sqlite"
_TABLE = """CREATE TABLE IF NOT EXISTS files (
    stem TEXT PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, audio_hash TEXT,
    settings_hash TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL, code TEXT, message TEXT, seconds REAL)
"""


@dataclass(frozen=True)
class Row:
    """What is known of one recording. `seconds` of audio; `code` and `message` of its last failure."""

    stem: str
    path: str
    size: int
    mtime_ns: int
    audio_hash: str | None
    settings_hash: str
    state: str
    attempts: int
    code: str | None = None
    message: str | None = None
    seconds: float | None = None


class Ledger:
    """One writer at a time; every change is on the disk before its method returns."""

    def __init__(self, folder: Path) -> None:
        """Open or begin the ledger in an output folder. Raises ConfigError while another run writes there."""
        self._lock = lock(folder / f"{NAME}.lock", "--out")
        self._rows = sqlite3.connect(folder / NAME, isolation_level=None)
        self._rows.execute("PRAGMA journal_mode=WAL")
        self._rows.execute("PRAGMA synchronous=FULL")
        self._rows.execute(_TABLE)
        self.release()

    def close(self) -> None:
        """Let another run in."""
        self._rows.close()
        self._lock.close()

    def release(self) -> None:
        """Queue again what a driver left running when it died or was stopped; that attempt was not the file's fault."""
        self._rows.execute("UPDATE files SET state='queued', attempts=max(0, attempts-1) WHERE state='running'")

    def row(self, stem: str) -> Row | None:
        """One recording's row."""
        found = self._rows.execute("SELECT * FROM files WHERE stem=?", (stem,)).fetchone()
        return Row(*found) if found else None

    def rows(self) -> list[Row]:
        """All rows, by stem."""
        return [Row(*found) for found in self._rows.execute("SELECT * FROM files ORDER BY stem")]

    def enter(self, stem: str, path: Path, settings_hash: str, *, retry_failed: bool = False) -> Row:
        """The row of a recording as it now lies on the disk: queued anew where anything about it has changed.

        Raises AudioError where the file cannot be looked at.
        """
        try:
            there = path.stat()
            old = self.row(stem)
            if old and _same(old, path, there, settings_hash) and not (retry_failed and _failed(old)):
                self._rows.execute("UPDATE files SET mtime_ns=? WHERE stem=?", (there.st_mtime_ns, stem))
            else:
                fresh = (stem, _known_as(path), there.st_size, there.st_mtime_ns, settings_hash)
                self._rows.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, NULL, ?, 'queued', 0, NULL, NULL, NULL)", fresh
                )
        except OSError as error:
            raise AudioError(path, f"cannot be read: {error.strerror}") from error
        row = self.row(stem)
        assert row is not None
        return row

    def queue(self, stem: str) -> None:
        """Do a recording again although it is done: its outputs are gone."""
        self._rows.execute("UPDATE files SET state='queued', attempts=0 WHERE stem=?", (stem,))

    def run(self, stem: str) -> None:
        """A worker has it: one attempt more."""
        self._rows.execute("UPDATE files SET state='running', attempts=attempts+1 WHERE stem=?", (stem,))

    def done(self, stem: str, *, audio_hash: str, seconds: float) -> None:
        """Its outputs are on the disk; `seconds` of audio."""
        self._rows.execute(
            "UPDATE files SET state='done', audio_hash=?, seconds=?, code=NULL, message=NULL WHERE stem=?",
            (audio_hash, seconds, stem),
        )

    def fail(self, stem: str, code: str, message: str, *, quarantine: bool = False) -> None:
        """It gave no transcript, and why."""
        state = "quarantined" if quarantine else "failed"
        values = (state, code, printable(message), stem)
        self._rows.execute("UPDATE files SET state=?, code=?, message=? WHERE stem=?", values)


def written_before(folder: Path) -> dict[str, str]:
    """Stem -> suffix of the recording that is, or is to be, written under it, as the folder's ledger says; {} without.

    Raises ConfigError where that cannot be read.
    """
    if not (folder / NAME).is_file():
        return {}
    try:
        with closing(sqlite3.connect(folder / NAME)) as rows:
            return {stem: Path(path).suffix for stem, path in rows.execute("SELECT stem, path FROM files")}
    except sqlite3.Error as error:
        raise ConfigError("--out", f"{folder / NAME} cannot be read as a ledger: {error}; move it away") from error


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_settings(model: Path, *settings: str) -> str:
    """Of all files of a model's folder, and of the settings that change what is written."""
    whole = hashlib.sha256()
    for path in sorted(path for path in model.rglob("*") if path.is_file()):
        whole.update(f"{path.relative_to(model)}\0{hash_file(path)}\0".encode())
    whole.update("\0".join(settings).encode())
    return whole.hexdigest()


def _failed(row: Row) -> bool:
    return row.state in ("failed", "quarantined")


def _same(row: Row, path: Path, there: os.stat_result, settings_hash: str) -> bool:
    """Touched only is the same: then the hash of the audio decides. From wherever it was named."""
    if (_known_as(Path(row.path)), row.size, row.settings_hash) != (_known_as(path), there.st_size, settings_hash):
        return False
    return row.mtime_ns == there.st_mtime_ns or row.audio_hash == hash_file(path)


def _known_as(path: Path) -> str:
    return printable(str(path.absolute()))
