"""Under which name each recording's texts are written, so that no two write the same file."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr.errors import ConfigError
from asr.writing import printable
from pipelines.sources import Found


def name_apart(found: Sequence[Found], earlier: Mapping[str, str]) -> list[Found]:
    """The recordings, those that would write the same output with their suffix in the name: a.wav.txt, a.mp3.txt.

    `earlier`: stem -> suffix of the recording that was written under it before; each keeps its name, and no other
    takes it. Raises ConfigError where two cannot be told apart by their suffix.
    """
    named = [_as_before(recording, earlier) for recording in found]
    while clashing := _clashing(named):
        apart = [_with_suffix(x) if x.stem in clashing and not _kept(x, earlier) else x for x in named]
        if apart == named:
            stem = min(clashing)
            both = " and ".join([x.name for x in named if x.stem == stem][:2])
            raise ConfigError("--out", f"{both} would both be written as {stem}; transcribe them separately")
        named = apart
    return named


def known_as(recording: Found) -> str:
    """The stem as a ledger can hold it: bytes that are no text stand as \\udcXX."""
    return printable(str(recording.stem))


def told_apart(found: Iterable[Found], named: Iterable[Found]) -> str:
    """What a person should know of the names, or ""."""
    longer = [str(new.stem) for old, new in zip(found, named, strict=True) if old.stem != new.stem]
    if not longer:
        return ""
    some = ", ".join(longer[:3]) + (" …" if len(longer) > 3 else "")
    return f"recordings that differ in their suffix alone keep it in the names of their texts: {some}"


def _as_before(recording: Found, earlier: Mapping[str, str]) -> Found:
    """Under the name that it had, else under its own unless that is another's."""
    longer = _with_suffix(recording)
    if _kept(longer, earlier) or (known_as(recording) in earlier and not _kept(recording, earlier)):
        return longer
    return recording


def _kept(recording: Found, earlier: Mapping[str, str]) -> bool:
    return recording.path is not None and earlier.get(known_as(recording)) == recording.path.suffix


def _clashing(named: Iterable[Found]) -> set[Path]:
    return {stem for stem, count in Counter(x.stem for x in named).items() if count > 1}


def _with_suffix(recording: Found) -> Found:
    return replace(recording, stem=recording.longer_stem)
