"""Folders of audio with the words beside each recording: name.txt, or name.srt / name.vtt with times."""

import re
from collections.abc import Iterator
from pathlib import Path

from asr.data.lines import read_text, text_lines
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import AUDIO_SUFFIXES, Reference

TEXT_SUFFIXES = (".txt", ".srt", ".vtt")
_TIMES = re.compile(
    r"^\s*(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})\s*-->\s*(?:(\d+):)?(\d{1,2}):(\d{1,2})[.,](\d{1,3})"
)
_MARKUP = re.compile(r"<[^>]*>|\{\\[^}]*\}")


def has_text_beside(audio: Path) -> bool:
    """Whether there is a .txt, .srt or .vtt of the same name."""
    return any(audio.with_suffix(suffix).is_file() for suffix in TEXT_SUFFIXES)


def read_beside(folder: Path) -> Iterator[Reference]:
    """One reference a recording: all of its .txt, or the words of its subtitles in order. Raises ManifestError.

    A text without a recording, a recording without a text, and one of a name that was there (a.wav, a.opus) come out
    too, so that the check names them.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    texts = {p.with_suffix(""): p for suffix in TEXT_SUFFIXES for p in files if p.suffix.lower() == suffix}
    audio = [p for p in files if p.suffix.lower() in AUDIO_SUFFIXES]
    alone = texts.keys() - {p.with_suffix("") for p in audio}
    silent = [p.with_suffix(".wav") for p in alone if p.name.lower() not in {"readme", "license", "licence", "notes"}]
    for path in sorted([*audio, *silent]):
        stem = path.with_suffix("")
        yield Reference(
            id=stem.relative_to(folder).as_posix(),
            audio=path,
            text=_words_of(texts[stem]) if stem in texts else "",
            source=folder.name,
            transcribed=stem in texts,
        )


def _words_of(path: Path) -> str:
    if path.suffix.lower() == ".txt":
        return " ".join(read_text(path).split())
    return " ".join(text for _, _, text in read_subtitles(path))


def read_subtitles(path: Path) -> list[tuple[float, float, str]]:
    """(start, end, text) of each subtitle of an SRT or WebVTT file; seconds. Raises ManifestError naming the line."""
    cues: list[tuple[float, float, list[str]]] = []
    inside = False
    for number, line in enumerate(text_lines(path), 1):
        if "-->" in line:
            cues.append((*_times(line, f"{path}:{number}"), []))
            inside = True
        elif not line.strip():
            inside = False
        elif inside:
            cues[-1][2].append(_MARKUP.sub("", line).strip())
    if not cues:
        raise ManifestError(path, "expected subtitles with lines such as 00:00:01,000 --> 00:00:02,000; there is none")
    return [(start, end, " ".join(lines)) for start, end, lines in cues]


def _times(line: str, where: str) -> tuple[float, float]:
    match = _TIMES.match(line)
    if not match:
        raise ManifestError(where, f"expected 00:00:01,000 --> 00:00:02,000, got {line.strip()[:60]!r}")
    h1, m1, s1, f1, h2, m2, s2, f2 = (part or "0" for part in match.groups())
    start, end = (
        int(h) * 3600 + int(m) * 60 + int(s) + float(f"0.{f}") for h, m, s, f in ((h1, m1, s1, f1), (h2, m2, s2, f2))
    )
    if end < start:
        raise ManifestError(where, f"the subtitle ends ({end:g} s) before it starts ({start:g} s)")
    return start, end
