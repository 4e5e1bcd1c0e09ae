"""Manifests: one JSON object a line, with NeMo's and Lhotse's keys."""

import json
from dataclasses import dataclass
from pathlib import Path

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
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(path, f"expected a JSONL manifest that can be read: {error}") from error
    examples = [_example(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not examples:
        raise ManifestError(path, "expected at least one line with audio_filepath, duration and text; it is empty")
    return examples


def _example(path: Path, number: int, line: str) -> Example:
    where = f"{path}:{number}"
    try:
        row = json.loads(line)
        return Example(
            audio=path.parent / row["audio_filepath"],
            duration=float(row["duration"]),
            text=str(row["text"]),
            speaker=str(row.get("speaker", "")),
            source=str(row.get("source", "")),
        )
    except json.JSONDecodeError as error:
        raise ManifestError(where, f"expected a JSON object: {error}") from error
    except KeyError as error:
        raise ManifestError(
            where, f"the key {error} is missing; audio_filepath, duration and text are needed"
        ) from None
    except (TypeError, ValueError) as error:
        raise ManifestError(where, f"expected a path, seconds as a number, and text: {error}") from error
