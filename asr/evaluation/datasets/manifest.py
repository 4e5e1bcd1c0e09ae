"""JSONL manifests: NeMo's keys (audio_filepath, duration, text, offset) and Lhotse's cuts and supervisions."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.data.lines import numbered_rows, seconds, text_of
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import Reference, with_text_tags

OWN_KEYS = frozenset({"audio_filepath", "duration", "offset", "text", "id", "utt_id"})


def read_manifest(path: Path) -> Iterator[Reference]:
    """Each line of a JSONL manifest. Audio paths are relative to the manifest. Raises ManifestError naming the line."""
    recordings: dict[str, Path] | None = None
    for where, row in numbered_rows(path):
        if "audio_filepath" in row:
            yield _nemo_line(path, where, row)
        elif "recording" in row or "supervisions" in row:
            yield from _lhotse_cut(path, where, row)
        elif "recording_id" in row:
            recordings = _recordings_beside(path) if recordings is None else recordings
            yield _lhotse_supervision(where, row, recordings)
        else:
            keys = ", ".join(row) or "no keys"
            raise ManifestError(
                where, f"expected audio_filepath (NeMo) or recording / supervisions (Lhotse); there are {keys}"
            )


def _nemo_line(path: Path, where: str, row: dict[str, Any]) -> Reference:
    audio = text_of(row, "audio_filepath", where=where)
    offset = seconds(row["offset"], where=where, name="offset") if row.get("offset") is not None else None
    duration = seconds(row["duration"], where=where, name="duration") if row.get("duration") is not None else None
    name = str(row.get("id") or row.get("utt_id") or audio + (f"@{offset:g}" if offset else ""))
    reference = Reference(
        id=name,
        audio=path.parent / audio,
        text=text_of(row, "text", where=where),
        offset_s=offset,
        duration_s=duration,
        speaker=str(row.get("speaker") or ""),
        source=str(row.get("source") or ""),
    )
    return with_text_tags(reference, {key: value for key, value in row.items() if key not in OWN_KEYS})


def _lhotse_cut(path: Path, where: str, row: dict[str, Any]) -> Iterator[Reference]:
    if not isinstance(row.get("recording"), dict):
        raise ManifestError(where, "expected a Lhotse cut with its recording; export cuts, not features alone")
    audio = _recording_file(path, where, row["recording"])
    start = seconds(row.get("start", 0.0), where=where, name="start")
    supervisions = row.get("supervisions") or []
    if not isinstance(supervisions, list) or not all(isinstance(x, dict) for x in supervisions):
        raise ManifestError(where, f"expected supervisions as a list of objects, got {str(supervisions)[:60]}")
    for supervision in supervisions:
        begin = seconds(supervision.get("start", 0.0), where=where, name="start of the supervision")
        yield _supervision(where, supervision, audio=audio, start=start + begin)


def _lhotse_supervision(where: str, row: dict[str, Any], recordings: dict[str, Path]) -> Reference:
    name = text_of(row, "recording_id", where=where)
    if name not in recordings:
        raise ManifestError(where, f"the recording {name!r} is in no *recordings*.jsonl(.gz) beside this file")
    start = seconds(row.get("start", 0.0), where=where, name="start")
    return _supervision(where, row, audio=recordings[name], start=start)


def _supervision(where: str, row: dict[str, Any], *, audio: Path, start: float) -> Reference:
    duration = seconds(row.get("duration"), where=where, name="duration")
    reference = Reference(
        id=text_of(row, "id", where=where),
        audio=audio,
        text=text_of(row, "text", where=where),
        offset_s=start,
        duration_s=duration,
        speaker=str(row.get("speaker") or ""),
        source=str(row.get("source") or ""),
    )
    tags: dict[str, object] = {key: row[key] for key in ("language", "gender", "channel") if key in row}
    custom = row.get("custom")
    tags = {**(custom if isinstance(custom, dict) else {}), **tags, "speaker": reference.speaker}
    return with_text_tags(reference, tags)


def _recordings_beside(path: Path) -> dict[str, Path]:
    files = sorted(
        p for p in path.parent.iterdir() if "recordings" in p.name and p.name.endswith((".jsonl", ".jsonl.gz"))
    )
    rows = ((file, where, row) for file in files for where, row in numbered_rows(file))
    return {text_of(row, "id", where=where): _recording_file(file, where, row) for file, where, row in rows}


def _recording_file(path: Path, where: str, recording: dict[str, Any]) -> Path:
    sources = recording.get("sources")
    source = sources[0] if isinstance(sources, list) and len(sources) == 1 else None
    if not isinstance(source, dict) or source.get("type") != "file":
        raise ManifestError(
            where, "expected a recording with one source of type 'file'; convert the others to files first"
        )
    return path.parent / text_of(source, "source", where=where)
