"""Files and folders that are written whole or not at all."""

import contextlib
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from asr.errors import AsrError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write under, which becomes `path` in the end: no reader ever sees half a file, and none stays.

    Folders are made; a device or a pipe is written to as it is. Raises AsrError where it cannot be written.
    """
    try:
        if path.exists() and not path.is_file():
            yield path
            return
        target = path.resolve()  # a link stays one
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{zlib.crc32(os.fsencode(path.name)):08x}.{os.getpid()}.part")  # short as any name
        try:
            yield part
            part.replace(target)
        finally:
            with contextlib.suppress(FileNotFoundError):
                part.unlink()
    except OSError as error:
        raise AsrError(path, f"cannot be written: {error.strerror or error}") from error


@contextmanager
def whole_folder(path: Path, *, advice: str = "") -> Iterator[Path]:
    """A folder to fill, which takes the place of `path` in the end; after a failure `path` is as it was.

    Raises AsrError, with the `advice`, where it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        before = new.with_name(f"{new.name}-before")
        try:
            yield new
            new.chmod(0o755)
            if path.exists():
                path.rename(before)
            new.rename(path)
        except BaseException:
            if before.exists():
                before.rename(path)
            shutil.rmtree(new, ignore_errors=True)
            raise
    except OSError as error:
        raise AsrError(path, "; ".join(filter(None, [f"cannot be written: {error}", advice]))) from error
    shutil.rmtree(before, ignore_errors=True)


def write_whole(path: Path, text: str) -> None:
    """Text in UTF-8, written whole; bytes of file names that are none stand as \\udcXX. Raises AsrError."""
    with whole_file(path) as part:
        part.write_text(text, encoding="utf-8", errors="backslashreplace")


def printable(text: str) -> str:
    """Bytes of a file's name that are no UTF-8 stand as \\udcXX."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
