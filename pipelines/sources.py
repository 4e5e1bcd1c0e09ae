"""Which recordings a command line means: files, folders, globs, manifests, standard input."""

import glob
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from asr.audio.reader import AUDIO_SUFFIXES
from asr.data.lines import numbered_lines, parse_row, text_of
from asr.errors import AudioError, ConfigError, ManifestError

MANIFESTS = (".jsonl", ".json", ".jsonl.gz")


@dataclass(frozen=True)
class Found:
    """A recording, and the name under which its results are written, relative to --out."""

    name: str
    path: Path | None  # None: standard input
    stem: Path

    def open(self) -> Path | BinaryIO:
        """What the reader takes."""
        return sys.stdin.buffer if self.path is None else self.path


def find_recordings(given: Iterable[str]) -> Iterator[Found | AudioError | ManifestError]:
    """Every recording in the order given, folders sorted; an error for each path that leads to none."""
    for text in given:
        path = Path(text)
        if not text:
            raise ConfigError("PATH", "expected a file, a folder or a pattern, got nothing")
        if text == "-":
            yield Found("-", None, Path("stdin"))
        elif path.is_dir():
            yield from _folder(path)
        elif path.name.endswith(MANIFESTS) and path.is_file():
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


def _manifest(manifest: Path) -> Iterator[Found | ManifestError]:
    """Its lines; an error for each that names no recording, or a part of one."""
    try:
        for where, line in numbered_lines(manifest):
            yield _listed(manifest, where, line)
    except ManifestError as error:
        yield error


def _listed(manifest: Path, where: str, line: str) -> Found | ManifestError:
    try:
        row = parse_row(where, line)
        name = text_of(row, "audio_filepath", where=where)
        if not Path(name).name:
            raise ManifestError(where, f"expected audio_filepath with the path of a recording, got {name!r}")
        if row.get("offset"):
            raise ManifestError(where, "recordings are transcribed whole, and this is a part of one (offset)")
    except ManifestError as error:
        return error
    relative = Path(*(part for part in Path(name).parts if part not in ("/", "..", ".")))
    return Found(str(manifest.parent / name), manifest.parent / name, relative.with_suffix(""))


def refuse_clashes(found: Iterable[Found]) -> None:
    """Two recordings must not write the same output. Raises ConfigError before any work is done."""
    seen: dict[Path, str] = {}
    for recording in found:
        if recording.stem in seen:
            both = f"{seen[recording.stem]} and {recording.name}"
            raise ConfigError("--out", f"{both} would both be written as {recording.stem}; transcribe them separately")
        seen[recording.stem] = recording.name
