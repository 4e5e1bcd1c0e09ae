"""Hugging Face datasets in a local folder: parquet, or the arrow files of save_to_disk; columns audio and text."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from asr.errors import ManifestError
from asr.evaluation.datasets.reference import Reference, with_text_tags
from asr.evaluation.datasets.table import ID_COLUMNS, SPEAKER_COLUMNS, TEXT_COLUMNS

AUDIO_COLUMNS = ("audio", "file", "path")


def read_huggingface(path: Path) -> Iterator[Reference]:
    """Each row; the audio column holds the bytes of a file, or its path. Needs pyarrow. Raises ManifestError."""
    files = [path] if path.is_file() else sorted([*path.rglob("*.parquet"), *path.rglob("*.arrow")])
    for file in files:
        for number, row in enumerate(_rows(file), 1):
            yield _reference(file, f"{file}: row {number}", row)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise ManifestError(path, "reading a Hugging Face dataset needs pyarrow: pip install pyarrow") from None
    try:
        if path.suffix == ".parquet":
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=64):
                yield from batch.to_pylist()
        else:
            with pyarrow.memory_map(str(path)) as source:
                yield from itertools.chain.from_iterable(x.to_pylist() for x in pyarrow.ipc.open_stream(source))
    except (pyarrow.ArrowException, OSError) as error:
        raise ManifestError(path, f"expected a {path.suffix[1:]} file of a dataset: {error}") from error


def _reference(path: Path, where: str, row: dict[str, Any]) -> Reference:
    audio_key = next((key for key in AUDIO_COLUMNS if key in row), None)
    text_key = next((key for key in TEXT_COLUMNS if key in row), None)
    if audio_key is None or text_key is None:
        wanted = f"a column of {', '.join(AUDIO_COLUMNS)} and one of {', '.join(TEXT_COLUMNS)}"
        raise ManifestError(where, f"expected {wanted}; there are {', '.join(row)}")
    audio, name = _audio(path, where, row[audio_key])
    reference = Reference(
        id=next((str(row[key]) for key in ID_COLUMNS if row.get(key)), name),
        audio=audio,
        text=str(row[text_key] or ""),
        speaker=next((str(row[key]) for key in SPEAKER_COLUMNS if row.get(key)), ""),
        source=str(row.get("source") or ""),
    )
    return with_text_tags(reference, {key: value for key, value in row.items() if key not in {audio_key, text_key}})


def _audio(path: Path, where: str, value: object) -> tuple[Path | bytes, str]:
    """The audio and a name for it; a row without a name goes by its number."""
    if isinstance(value, str):
        return path.parent / value, Path(value).stem
    if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
        return value["bytes"], Path(str(value.get("path") or where)).name
    if isinstance(value, dict) and isinstance(value.get("path"), str):
        return path.parent / value["path"], Path(value["path"]).stem
    raise ManifestError(where, "expected audio as bytes or as a path in the column; it has neither")
