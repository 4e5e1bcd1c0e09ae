"""Manifests: one JSON object a line, with NeMo's and Lhotse's keys."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asr.data.lines import numbered_rows, seconds, text_of
from asr.errors import ManifestError


@dataclass(frozen=True)
class Example:
    """A recording with what is said in it. duration in seconds."""

    audio: Path
    duration: float
    text: str
    speaker: str = ""
    source: str = ""


def read_manifest(path: Path) -> list[Example]:
    """All lines; audio paths are relative to the manifest. Raises ManifestError naming the line."""
    return [example for example, _ in read_rows(path, "text")]


def read_rows(path: Path, *needed: str) -> list[tuple[Example, dict[str, Any]]]:
    """All lines, each with all that it says. `needed`: texts beside the sound's path. Raises ManifestError."""
    rows = [(_example(path, where, row, needed), row) for where, row in numbered_rows(path)]
    if not rows:
        keys = ", ".join(("audio_filepath", "duration", *needed))
        raise ManifestError(path, f"expected at least one line with {keys}; it is empty")
    return rows


def _example(path: Path, where: str, row: dict[str, Any], needed: Sequence[str]) -> Example:
    for key in needed:
        text_of(row, key, where=where)
    if row.get("offset"):
        raise ManifestError(where, "training reads recordings whole, and this is a part of one (offset): cut it out")
    return Example(
        audio=path.parent / text_of(row, "audio_filepath", where=where),
        duration=seconds(row.get("duration"), where=where, name="duration"),
        text=str(row.get("text") or ""),
        speaker=str(row.get("speaker") or ""),
        source=str(row.get("source") or ""),
    )
