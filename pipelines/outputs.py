"""Where a command writes: tried before the work; and what was made is not lost where it cannot be written after it."""

import contextlib
import errno
import fcntl
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from asr.errors import AsrError, ConfigError
from asr.writing import write_whole


def check_files(*outputs: Path | None, read: Iterable[Path | None] = ()) -> None:
    """Raises ConfigError for a file that cannot be written, is named twice, or is among those that are `read`."""
    taken = {path.resolve(): "it is read, and would be lost" for path in read if path}
    for path in outputs:
        if path is not None:
            _check_file(path, taken)


def _check_file(path: Path, taken: dict[Path, str]) -> None:
    with _refusing(path):
        if path.is_dir():
            raise ConfigError(path, "expected a file to write, and this is a folder")
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, "it is protected against writing")
        if path.exists() and not path.is_file():  # a device or a pipe
            return
        place = path.resolve()
        if place in taken:
            raise ConfigError(path, f"expected another file to write: {taken[place]}")
        taken[place] = "two results would be written there"
        _try(place.parent)


def check_unread(outputs: Iterable[Path], read: Iterable[Path | None]) -> None:
    """Raises ConfigError where one of many outputs is a file that is `read`."""
    taken = {path.resolve() for path in read if path}
    suffixes = {path.suffix for path in taken}
    for path in outputs:
        if path.suffix in suffixes and path.resolve() in taken:
            raise ConfigError(path, "expected another file to write: it is read, and would be lost")


def file_of(target: str | None) -> Path | None:
    """The file that --json names; None where that is standard output, or nothing."""
    return None if target in (None, "-") else Path(str(target))


def check_folder(path: Path) -> None:
    """Raises ConfigError where there is no folder to write into and none can be made."""
    with _refusing(path):
        _try(path.resolve())


def lock(path: Path, option: str) -> IO[str]:
    """A file in a run's folder that one process at a time holds, until it is closed or the process ends.

    The folder is made. Raises ConfigError, of the option that named it, while another run is at work there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ConfigError(option, f"another run is at work in {path.parent}; wait for it or choose another") from None
    return file


def given_up(close: Callable[[], object], error: OSError) -> str:
    """A text file that grows takes no more, as on a full disk: it is closed, and what a person is told of that."""
    with contextlib.suppress(OSError):  # what is left of the words that it did not take
        close()
    return f"--out: {error.strerror}: what is said from now on is not written there"


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(path, f"cannot be written: {error.strerror}; choose another place") from error


def _try(folder: Path) -> None:
    """Put a file without a name into the folder, or into the one that it would be made in."""
    with tempfile.TemporaryFile(dir=next(x for x in (folder, *folder.parents) if x.exists())):
        pass


def save_text(target: str | Path, text: str) -> bool:
    """As `save`, of a text; "-" is standard output."""
    if target == "-":
        sys.stdout.write(text)
        return True
    return save(Path(target), lambda path: write_whole(path, text))


def save(path: Path, write: Callable[[Path], object]) -> bool:
    """Whether `write` wrote the file; where not, that is said, and a copy is left among the temporary files."""
    try:
        write(path)
        return True
    except AsrError as error:
        print(f"asr: {error}", file=sys.stderr)
    try:
        copy = Path(tempfile.mkdtemp(prefix="asr-")) / path.name
        write(copy)
        print(f"asr: what was to be written there is in {copy}", file=sys.stderr)
    except (AsrError, OSError) as error:
        print(f"asr: nor could a copy be kept: {error}", file=sys.stderr)
    return False
