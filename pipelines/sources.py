"""Which recordings a command line means: files, folders, globs, manifests, standard input."""

import glob
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr.audio.reader import AUDIO_SUFFIXES
from asr.errors import AudioError, ConfigError, ManifestError

MANIFESTS = (".jsonl", ".json")


@dataclass(frozen=True)
class Found:
    """A recording, and the name under which its results are written, relative to --out."""

    name: str
    path: Path | None  # None: standard input
    stem: Path

    def open(self) -> Path | BinaryIO:
        """What the reader takes."""
        return sys.stdin.buffer if self.path is None else self.path


def find_recordings(given: Iterable[str]) -> Iterator[Found | AudioError]:
    """Every recording in the order given, folders sorted; an error for each path that leads to none."""
    for text in given:
        path = Path(text)
        if text == "-":
            yield Found("-", None, Path("stdin"))
        elif path.is_dir():
            yield from _folder(path)
        elif path.suffix in MANIFESTS and path.is_file():
            yield from _manifest(path)
        elif path.exists():
            yield Found(text, path, Path(path.stem))
        elif glob.has_magic(text):
            matches = sorted(glob.glob(text, recursive=True))  # noqa: PTH207  (Path.glob takes no absolute pattern)
            yield from find_recordings(matches) if matches else [AudioError(text, "no file matches this pattern")]
        else:
            yield AudioError(text, "there is no such file or folder")


def _folder(folder: Path) -> Iterator[Found | AudioError]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES and path.is_file())
    if not paths:
        yield AudioError(folder, "there is no recording in this folder; expected files such as .wav, .flac or .mp3")
    for path in paths:
        yield Found(str(path), path, path.relative_to(folder).with_suffix(""))


def _manifest(manifest: Path) -> Iterator[Found]:
    for number, line in enumerate(manifest.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        try:
            name = json.loads(line)["audio_filepath"]
        except (json.JSONDecodeError, KeyError, TypeError) as error:
            raise ManifestError(
                f"{manifest}:{number}", f"expected a JSON object with audio_filepath: {error}"
            ) from error
        relative = Path(*(part for part in Path(name).parts if part not in ("/", "..", ".")))
        yield Found(str(manifest.parent / name), manifest.parent / name, relative.with_suffix(""))


def refuse_clashes(found: Iterable[Found]) -> None:
    """Two recordings must not write the same output. Raises ConfigError before any work is done."""
    seen: dict[Path, str] = {}
    for recording in found:
        if recording.stem in seen:
            both = f"{seen[recording.stem]} and {recording.name}"
            raise ConfigError("--out", f"{both} would both be written as {recording.stem}; transcribe them separately")
        seen[recording.stem] = recording.name
