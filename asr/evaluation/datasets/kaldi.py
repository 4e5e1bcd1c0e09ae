"""Kaldi data folders: wav.scp, text, and where there are such files segments and utt2spk."""

from collections.abc import Iterator
from pathlib import Path

from asr.data.lines import numbered_lines, seconds
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import Reference


def read_kaldi(folder: Path) -> Iterator[Reference]:
    """One reference a line of `text`. Relative paths in wav.scp count from the folder, else from where you are.

    Raises ManifestError naming the line; a command in wav.scp (with a pipe) is never run.
    """
    recordings = {name: _file(folder, where, value) for where, name, value in _pairs(folder / "wav.scp")}
    speakers = {name: value for _, name, value in _pairs(folder / "utt2spk")} if (folder / "utt2spk").exists() else {}
    segments = _segments(folder / "segments") if (folder / "segments").exists() else None
    for where, name, text in _pairs(folder / "text", empty=True):
        recording, start, end = (name, None, None) if segments is None else segments.get(name, ("", None, None))
        if recording not in recordings:
            listed = "wav.scp" if segments is None or recording else "segments"
            raise ManifestError(where, f"{recording or name!r} is not in {listed}; add it, or take the line out")
        yield Reference(
            id=name,
            audio=recordings[recording],
            text=text,
            offset_s=start,
            duration_s=None if start is None or end is None else end - start,
            speaker=speakers.get(name, ""),
            source=folder.name,
        )


def _pairs(path: Path, *, empty: bool = False) -> Iterator[tuple[str, str, str]]:
    for where, line in numbered_lines(path):
        name, _, value = line.strip().partition(" ")
        if not value and not empty:
            raise ManifestError(where, f"expected 'name value', got {line[:60]!r}")
        yield where, name, value.strip()


def _file(folder: Path, where: str, value: str) -> Path:
    if value.endswith("|"):
        raise ManifestError(where, "this is a command, and none is run: decode to files, and put their paths here")
    if Path(value).suffix == "" or ".ark:" in value:
        raise ManifestError(where, f"expected the path of an audio file, got {value!r}: archives are not read")
    return folder / value if (folder / value).is_file() else Path(value)


def _segments(path: Path) -> dict[str, tuple[str, float | None, float | None]]:
    found: dict[str, tuple[str, float | None, float | None]] = {}
    for where, line in numbered_lines(path):
        parts = line.split()
        if len(parts) != 4:
            raise ManifestError(where, f"expected 'utterance recording start end', got {line[:60]!r}")
        start, end = (seconds(part, where=where, name=name) for part, name in ((parts[2], "start"), (parts[3], "end")))
        if end <= start:
            raise ManifestError(where, f"the segment ends ({end:g} s) before it starts ({start:g} s)")
        found[parts[0]] = (parts[1], start, end)
    return found
