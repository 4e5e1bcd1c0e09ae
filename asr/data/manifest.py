"""Manifests: one JSON object a line, with NeMo's and Lhotse's keys."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """All lines, each with all that it says. `needed`: keys beside the sound's. Raises ManifestError."""
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # other ends of line may stand inside a string
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(path, f"expected a JSONL manifest that can be read: {error}") from error
    rows = [_row(path, number, line, needed) for number, line in enumerate(lines, 1) if line.strip()]
    if not rows:
        keys = ", ".join(("audio_filepath", "duration", *needed))
        raise ManifestError(path, f"expected at least one line with {keys}; it is empty")
    return rows


def _row(path: Path, number: int, line: str, needed: Sequence[str]) -> tuple[Example, dict[str, Any]]:
    where = f"{path}:{number}"
    try:
        row = json.loads(line)
        _ = [row[key] for key in needed]
        if row.get("offset"):
            raise ValueError("training reads recordings whole, and this is a part of one (offset): cut it out first")
        example = Example(
            audio=path.parent / row["audio_filepath"],
            duration=float(row["duration"]),
            text=str(row.get("text", "")),
            speaker=str(row.get("speaker", "")),
            source=str(row.get("source", "")),
        )
        return example, row
    except json.JSONDecodeError as error:
        raise ManifestError(where, f"expected a JSON object: {error}") from error
    except KeyError as error:
        raise ManifestError(
            where, f"the key {error} is missing; {', '.join(('audio_filepath', 'duration', *needed))} are needed"
        ) from None
    except (TypeError, ValueError) as error:
        raise ManifestError(where, f"expected a path, seconds as a number, and text: {error}") from error
