"""Tables: Common Voice TSV with clips, LJSpeech metadata.csv, and any CSV or TSV with named columns."""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

from asr.data.lines import numbered_lines, read_text, seconds, text_lines
from asr.errors import ManifestError
from asr.evaluation.datasets.reference import Reference, with_text_tags

AUDIO_COLUMNS = (
    "audio_filepath",
    "audio",
    "path",
    "file",
    "filename",
    "file_name",
    "wav",
    "wav_filename",
    "audio_path",
)
TEXT_COLUMNS = ("text", "sentence", "transcript", "transcription", "normalized_text", "reference", "ref")
ID_COLUMNS = ("id", "utt_id", "utterance_id", "utterance")
SPEAKER_COLUMNS = ("speaker", "speaker_id", "client_id")


def read_table(path: Path) -> Iterator[Reference]:
    """Rows of a CSV or TSV whose first line names the columns; audio paths are relative to it. Raises ManifestError."""
    for where, row in _rows(path):
        audio = _value(row, AUDIO_COLUMNS, where)
        yield _reference(row, where, audio=path.parent / audio, name=audio)


def read_common_voice(path: Path) -> Iterator[Reference]:
    """Rows of a Common Voice TSV (path, sentence, client_id, …); the recordings are in clips/ beside it."""
    for where, row in _rows(path):
        audio = _value(row, ("path",), where)
        audio += "" if Path(audio).suffix else ".mp3"
        yield _reference(row, where, audio=path.parent / "clips" / audio, name=Path(audio).stem)


def read_ljspeech(path: Path) -> Iterator[Reference]:
    """Lines "id|text|normalised text" of metadata.csv; the audio is in wavs/ beside it. The normalised text counts."""
    for where, line in numbered_lines(path):
        parts = line.split("|")
        if len(parts) not in {2, 3}:
            raise ManifestError(
                where, f"expected 'id|text' or 'id|text|normalised text', got {len(parts)} parts: {line[:60]!r}"
            )
        yield Reference(
            id=parts[0],
            audio=path.parent / "wavs" / f"{parts[0]}.wav",
            text=parts[-1].strip() or parts[1].strip(),
            source=path.parent.name,
        )


def columns_of(path: Path) -> list[str]:
    """The names in the first line of a CSV or TSV, in lower case."""
    first = itertools.islice(text_lines(path), 1)
    return [name.strip().lower() for name in next(csv.reader(first, delimiter=_delimiter(path)), [])]


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix == ".tsv" else ","


def _rows(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    names = columns_of(path)
    if not names:
        raise ManifestError(path, "expected a first line that names the columns; the file is empty")
    text = io.StringIO(read_text(path))
    plain = path.suffix == ".tsv"  # a lone quote in a TSV is a letter as any other
    reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE) if plain else csv.reader(text, strict=True)
    next(reader)
    while True:
        first = reader.line_num + 1  # of the row: a quoted text may go over several lines
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise ManifestError(f"{path}:{first}", f"expected a row of comma-separated values: {error}") from None
        where = f"{path}:{first}"
        if not any(values):
            continue
        if len(values) > len(names):
            raise ManifestError(
                where, f"expected {len(names)} columns ({', '.join(names)}), got {len(values)}: quote the text"
            )
        yield where, dict(zip(names, values, strict=False))


def _value(row: dict[str, str], columns: Sequence[str], where: str) -> str:
    for column in columns:
        if column in row:
            return row[column]
    raise ManifestError(where, f"expected one of the columns {', '.join(columns)}; there are {', '.join(row)}")


def _reference(row: dict[str, str], where: str, *, audio: Path, name: str) -> Reference:
    used = {*AUDIO_COLUMNS, *TEXT_COLUMNS, *ID_COLUMNS, "duration", "offset"}
    reference = Reference(
        id=next((row[column] for column in ID_COLUMNS if row.get(column)), name),
        audio=audio,
        text=_value(row, TEXT_COLUMNS, where),
        offset_s=seconds(row["offset"], where=where, name="offset") if row.get("offset") else None,
        duration_s=seconds(row["duration"], where=where, name="duration") if row.get("duration") else None,
        speaker=next((row[column] for column in SPEAKER_COLUMNS if row.get(column)), ""),
        source=row.get("source", ""),
    )
    return with_text_tags(reference, {key: value for key, value in row.items() if key not in used})
