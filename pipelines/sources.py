"""Which recordings a command line means: files, folders, globs, manifests, standard input."""

import glob
import os
import stat
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from asr.audio.parts import Part
from asr.audio.reader import AUDIO_SUFFIXES
from asr.data.lines import numbered_lines, parse_row, seconds, text_of
from asr.errors import AudioError, ConfigError, ManifestError
from asr.output.formats import FORMATS

MANIFESTS = (".jsonl", ".json", ".jsonl.gz")
TEXTS = frozenset((*(f".{name}" for name in FORMATS), ".textgrid"))


@dataclass(frozen=True)
class Found:
    """A recording or a part of one, and the name under which its results are written, relative to --out."""

    name: str
    source: Path | Part | None  # None: standard input
    stem: Path

    @property
    def path(self) -> Path | None:
        """The file."""
        found = self.source.recording if isinstance(self.source, Part) else self.source
        assert not isinstance(found, bytes)
        return found

    @property
    def longer_stem(self) -> Path:
        """The stem with the recording's suffix in it, for one that clashes with another."""
        if self.path is None:
            return self.stem
        return self.stem.with_name(self.path.name + (self.source.label if isinstance(self.source, Part) else ""))

    def open(self) -> Path | Part | BinaryIO:
        """What the reader takes."""
        return sys.stdin.buffer if self.source is None else self.source


@dataclass(frozen=True)
class PassedOver:
    """How many files of a folder are not taken for recordings, by suffix; without hidden ones and recordings' texts."""

    folder: Path
    suffixes: Mapping[str, int]

    def __str__(self) -> str:
        ranked = sorted(self.suffixes.items(), key=lambda x: (-x[1], x[0]))
        counts = ", ".join(f"{suffix or 'no suffix'} {count}" for suffix, count in ranked[:6])
        more = " …" if len(ranked) > 6 else ""
        return f"{self.folder}: passed over, as their suffixes are not those of recordings: {counts}{more}"


@dataclass(frozen=True)
class NotFollowed:
    """A link to a folder within a folder: it might lead round in a circle."""

    link: Path

    def __str__(self) -> str:
        return f"{self.link}: a link to another folder, passed over; name it too if its recordings are wanted"


def find_recordings(given: Iterable[str]) -> Iterator[Found | PassedOver | NotFollowed | AudioError | ManifestError]:
    """Every recording in the order given, folders sorted; an error for each path that leads to none.

    Of each folder also which files were passed over, where there are any.
    """
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


def _folder(folder: Path) -> Iterator[Found | PassedOver | NotFollowed | AudioError]:
    files, links, closed = _walk(folder)
    paths = [path for path in files if path.suffix.lower() in AUDIO_SUFFIXES]
    yield from map(NotFollowed, links)
    for error in closed:
        yield AudioError(error.filename, f"cannot be looked into: {error.strerror}")
    if over := _passed_over(files, paths):
        yield PassedOver(folder, over)
    if not paths:
        yield AudioError(folder, "there is no recording in this folder; expected files such as .wav, .flac or .mp3")
    for path in paths:
        yield Found(str(path), path, path.relative_to(folder).with_suffix(""))


def _walk(folder: Path) -> tuple[list[Path], list[Path], list[OSError]]:
    """Files, links to folders, and why some folders cannot be read."""
    files, links, closed = list[Path](), list[Path](), list[OSError]()
    for where, folders, names in os.walk(folder, onerror=closed.append):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        links += [path for path in (Path(where, name) for name in folders) if path.is_symlink()]
        files += [Path(where, name) for name in names if not _is_hidden(name) and _is_file(Path(where, name))]
    return sorted(files), sorted(links), closed


def _is_file(path: Path) -> bool:
    """Or a link that leads nowhere, or what is closed to us: who opens it says so."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True


def _is_hidden(name: str) -> bool:
    """Such as ._talk.wav, which macOS leaves beside talk.wav on foreign disks, and which is no recording."""
    return name.startswith(".")


def _passed_over(files: Iterable[Path], recordings: Iterable[Path]) -> Counter[str]:
    """How many files of each suffix are no recordings, nor named as the text of a recording."""
    names = {name for path in recordings for name in (path.stem, path.name)}
    return Counter(
        path.suffix.lower()
        for path in files
        if path.suffix.lower() not in AUDIO_SUFFIXES and not (path.suffix.lower() in TEXTS and path.stem in names)
    )


def _manifest(manifest: Path) -> Iterator[Found | ManifestError]:
    """Its lines; an error for each that names no recording."""
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
        source = _whole_or_part(where, manifest.parent / name, row)
    except ManifestError as error:
        return error
    label = source.label if isinstance(source, Part) else ""
    stem = Path(*(part for part in Path(name).parts if part not in ("/", "..", "."))).with_suffix("")
    return Found(f"{manifest.parent / name}{label}", source, stem.with_name(stem.name + label))


def _whole_or_part(where: str, path: Path, row: Mapping[str, Any]) -> Path | Part:
    """A part where there is an offset; a duration alone is that of the whole."""
    if row.get("offset") is None:
        return path
    offset_s = seconds(row["offset"], where=where, name="offset")
    if row.get("duration") is None:
        return Part(path, offset_s) if offset_s else path
    duration_s = seconds(row["duration"], where=where, name="duration")
    if not duration_s:
        raise ManifestError(where, "expected a part of a recording that lasts (duration), got 0 s")
    return Part(path, offset_s, duration_s)
