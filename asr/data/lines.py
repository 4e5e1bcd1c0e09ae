"""Text files line by line, with errors that name the line. All that read manifests read them through this."""

import gzip
import io
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from asr.errors import ManifestError


def read_text(path: Path) -> str:
    """All of a UTF-8 text file, unpacked where it ends in .gz. Raises ManifestError, naming the line where it can."""
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise ManifestError(path, f"expected a text file that can be read: {error}") from error
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ManifestError(f"{path}:{line}", f"expected text in UTF-8: {error.reason}; convert the file") from error


def text_lines(path: Path) -> Iterator[str]:
    """All lines, without their ends. Raises ManifestError.

    A line ends with a line feed, a carriage return or both; what else Unicode counts as an end of line (U+2028, form
    feed) may stand inside a text.
    """
    return (line.removesuffix("\n") for line in io.StringIO(read_text(path), newline=None))


def numbered_lines(path: Path, *, comment: str | None = None) -> Iterator[tuple[str, str]]:
    """(where, line) of every line that is not blank; where is "file:number" for messages."""
    for number, line in enumerate(text_lines(path), 1):
        if line.strip() and not (comment and line.startswith(comment)):
            yield f"{path}:{number}", line


def numbered_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """(where, object) of every line of a JSONL file. Raises ManifestError where a line is not a JSON object."""
    for where, line in numbered_lines(path):
        yield where, parse_row(where, line)


def parse_row(where: str, line: str) -> dict[str, Any]:
    """The object that a line of a JSONL file is, for those who go on after a bad line. Raises ManifestError."""
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ManifestError(where, f"expected a JSON object: {error}") from None
    if not isinstance(row, dict):
        raise ManifestError(where, f"expected a JSON object with keys, got {line[:60]!r}")
    return row


def seconds(value: object, *, where: str, name: str) -> float:
    """A time in seconds that is a number of 0 or more. Raises ManifestError."""
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise ManifestError(where, f"expected {name} as a number of seconds, got {value!r}") from None
    if not 0 <= number < float("inf"):
        raise ManifestError(where, f"expected {name} of 0 s or more, got {number:g}")
    return number


def text_of(row: Mapping[str, Any], key: str, *, where: str) -> str:
    """A value that must be there as a string. Raises ManifestError."""
    value = row.get(key)
    if not isinstance(value, str):
        raise ManifestError(
            where, f"expected the key {key!r} with a string; there are {', '.join(map(str, row)) or 'no keys'}"
        )
    return value
