"""NIST STM: "file channel speaker start end <labels> words" a line."""

import re
from collections.abc import Iterator
from pathlib import Path

from asr.data.lines import numbered_lines, seconds
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import AUDIO_SUFFIXES, Reference

IGNORED = "ignore_time_segment_in_scoring"
_LINE = re.compile(r"^(\S+)\s+(\S+)\s+(\S+)\s+(\S+)\s+(\S+)(?:\s+<([^>]*)>)?\s*(.*)$")


def read_stm(path: Path) -> Iterator[Reference]:
    """Each line but comments (;;) and those that the file excludes from scoring. The audio is beside, in sph/ or wav/.

    Raises ManifestError naming the line.
    """
    for where, line in numbered_lines(path, comment=";;"):
        match = _LINE.match(line)
        if not match:
            raise ManifestError(where, f"expected 'file channel speaker start end <labels> words', got {line[:60]!r}")
        file, channel, speaker, start, end, labels, text = match.groups()
        if IGNORED in text.lower():
            continue
        begin = seconds(start, where=where, name="start")
        length = seconds(end, where=where, name="end") - begin
        if length <= 0:
            raise ManifestError(where, f"the segment ends ({end} s) before it starts ({start} s)")
        yield Reference(
            id=f"{file}-{channel}-{begin:.3f}",
            audio=_audio(path.parent, file),
            text=text.strip(),
            offset_s=begin,
            duration_s=length,
            speaker=speaker,
            source=path.stem,
            tags={"channel": channel} | ({"labels": labels} if labels else {}),
        )


def _audio(folder: Path, name: str) -> Path:
    for place in (
        folder,
        folder / "sph",
        folder / "wav",
        folder / "audio",
        folder.parent / "sph",
        folder.parent / "wav",
    ):
        found = [place / name, *(place / f"{name}{suffix}" for suffix in sorted(AUDIO_SUFFIXES))]
        for file in found:
            if file.is_file():
                return file
    return folder / f"{name}.wav"
