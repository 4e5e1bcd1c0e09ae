"""A path that a user gives -> test sets. The kind is recognised, or said outright."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from asr.errors import ConfigError, ManifestError
from asr.evaluation.datasets.beside import has_text_beside, read_beside
from asr.evaluation.datasets.huggingface import read_huggingface
from asr.evaluation.datasets.kaldi import read_kaldi
from asr.evaluation.datasets.librispeech import read_librispeech
from asr.evaluation.datasets.manifest import read_manifest
from asr.evaluation.datasets.reference import AUDIO_SUFFIXES, Dataset, Reference, check_references
from asr.evaluation.datasets.stm import read_stm
from asr.evaluation.datasets.table import columns_of, read_common_voice, read_ljspeech, read_table

READERS: Mapping[str, Callable[[Path], Iterator[Reference]]] = {
    "manifest": read_manifest,
    "librispeech": read_librispeech,
    "beside": read_beside,
    "commonvoice": read_common_voice,
    "ljspeech": read_ljspeech,
    "kaldi": read_kaldi,
    "stm": read_stm,
    "table": read_table,
    "huggingface": read_huggingface,
}
NAMES_THAT_SAY_NOTHING = frozenset({"", "manifest", "metadata", "cuts", "supervisions"})
COMMON_VOICE_SPLITS = ("test.tsv", "validated.tsv", "dev.tsv", "other.tsv")


def read_datasets(path: Path, *, kind: str | None = None) -> list[Dataset]:
    """The test sets at a path: one, or one for each manifest of a folder. Checked: see `check_references`.

    Raises ManifestError where nothing can be read, ConfigError where `kind` is none of READERS.
    """
    if kind is not None and kind not in READERS:
        raise ConfigError(f"--kind {kind}", f"expected one of {', '.join(READERS)}")
    if not path.exists():
        raise ManifestError(path, "there is no such file or folder")
    chosen = kind or recognise_kind(path)
    return [read_dataset(file, kind=chosen) for file in _files_of(path, chosen)]


def with_own_names(datasets: Sequence[Dataset]) -> list[Dataset]:
    """The sets with a number after each name that was there before, so that no two are taken for one."""
    seen: Counter[str] = Counter()
    named = []
    for dataset in datasets:
        seen[dataset.name] += 1
        count = seen[dataset.name]
        named.append(dataset if count == 1 else replace(dataset, name=f"{dataset.name} ({count})"))
    return named


def read_dataset(path: Path, *, kind: str) -> Dataset:
    """One test set of a known kind, checked, named for its file or folder."""
    references, problems = check_references(READERS[kind](path), where=str(path))
    file = path.resolve()
    name = file.name.split(".")[0]
    return Dataset(file.parent.name if name in NAMES_THAT_SAY_NOTHING else name, kind, references, problems)


def recognise_kind(path: Path) -> str:
    """Which of READERS fits, from names and first lines. Raises ManifestError that says what is read."""
    kind = _kind_of_file(path) if path.is_file() else _kind_of_folder(path)
    if kind is None:
        what = f"a {path.suffix} file" if path.is_file() else "this folder"
        raise ManifestError(path, f"cannot tell what {what} is; say it with --kind, one of {', '.join(READERS)}")
    return kind


def _kind_of_file(path: Path) -> str | None:
    name = path.name.lower()
    if name.endswith((".jsonl", ".jsonl.gz", ".json", ".json.gz")):
        return "manifest"
    if name.endswith(".trans.txt"):
        return "librispeech"
    if name.endswith((".csv", ".tsv")):
        return _kind_of_table(path)
    return {".stm": "stm", ".parquet": "huggingface", ".arrow": "huggingface"}.get(path.suffix.lower())


def _kind_of_table(path: Path) -> str:
    columns = columns_of(path)
    if len(columns) == 1 and "|" in columns[0]:
        return "ljspeech"
    return "commonvoice" if {"path", "sentence"} <= set(columns) and (path.parent / "clips").is_dir() else "table"


def _kind_of_folder(path: Path) -> str | None:
    if (path / "wav.scp").is_file() and (path / "text").is_file():
        return "kaldi"
    if (path / "clips").is_dir() and any(path.glob("*.tsv")):
        return "commonvoice"
    if (path / "metadata.csv").is_file():
        return _kind_of_table(path / "metadata.csv")
    for pattern, kind in (("*.jsonl", "manifest"), ("*.jsonl.gz", "manifest"), ("*.stm", "stm")):
        if any(path.glob(pattern)):
            return kind
    for pattern, kind in (("*.trans.txt", "librispeech"), ("*.parquet", "huggingface"), ("*.arrow", "huggingface")):
        if any(path.rglob(pattern)):
            return kind
    audio = (p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
    return "beside" if any(has_text_beside(p) for p in audio) else None


def _files_of(path: Path, kind: str) -> list[Path]:
    """The files that a reader of this kind wants, where a user gave their folder."""
    if path.is_file() or kind in {"kaldi", "librispeech", "huggingface", "beside"}:
        return [path]
    if kind == "commonvoice":
        found = [path / name for name in COMMON_VOICE_SPLITS if (path / name).is_file()][:1]
    elif kind in {"ljspeech", "table"}:
        found = [path / "metadata.csv"]
    else:
        patterns = {"manifest": ("*.jsonl", "*.jsonl.gz"), "stm": ("*.stm",)}[kind]
        found = sorted(file for pattern in patterns for file in path.glob(pattern) if not _is_lhotse_part(file))
    if not found:
        raise ManifestError(path, f"found no file of the kind {kind!r} here; give the file itself")
    return found


def _is_lhotse_part(path: Path) -> bool:
    """Recordings are read with the supervisions that name them."""
    return "recordings" in path.name and any("supervisions" in p.name for p in path.parent.iterdir())
