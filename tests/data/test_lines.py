"""The lines of manifests and texts, as all that read them see them."""

import gzip
import json
from pathlib import Path

import pytest

from asr.data.lines import text_lines
from asr.data.manifest import read_manifest
from asr.errors import ManifestError
from asr.evaluation.datasets import read_datasets
from pipelines.sources import Found, find_recordings
from tests.recordings import RECORDINGS

UNUSUAL = "one\u2028two\u2029three\x0bfour\x0cfive\x85six\x1cseven"


def write_manifest(path: Path, *texts: str) -> Path:
    rows = [{"audio_filepath": str(RECORDINGS[0]), "duration": 1.0, "text": text, "id": text[:3]} for text in texts]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def test_only_a_line_feed_and_a_carriage_return_end_a_line(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(f"{UNUSUAL}\r\nold\rnew\n\nlast".encode())
    assert list(text_lines(tmp_path / "a.txt")) == [UNUSUAL, "old", "new", "", "last"]


def test_a_line_separator_inside_a_text_parts_no_manifest(tmp_path: Path) -> None:
    text = "one\u2028two\x85three"
    manifest = write_manifest(tmp_path / "m.jsonl", text, "the next")
    assert [example.text for example in read_manifest(manifest)] == [text, "the next"]
    assert [x.text for dataset in read_datasets(manifest) for x in dataset.references] == [text, "the next"]
    assert len(list(find_recordings([str(manifest)]))) == 2


def test_a_line_separator_inside_a_text_parts_no_table_and_no_subtitle(tmp_path: Path) -> None:
    (tmp_path / "set.tsv").write_text(f"file\ttext\n{RECORDINGS[0]}\tone\u2028two\n", encoding="utf-8")
    [dataset] = read_datasets(tmp_path / "set.tsv")
    assert [x.text for x in dataset.references] == ["one\u2028two"]
    (tmp_path / "a.wav").touch()
    (tmp_path / "a.srt").write_text("1\n0:00:00,000 --> 0:00:01,000\na\u2028\u2028b\n\nx --> y\n", encoding="utf-8")
    with pytest.raises(ManifestError, match=r"a\.srt:5:"):
        read_datasets(tmp_path, kind="beside")


def test_a_packed_manifest_is_one_to_all_that_read_manifests(tmp_path: Path) -> None:
    plain = write_manifest(tmp_path / "m.jsonl", "some words")
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert read_manifest(packed) == read_manifest(plain)
    assert list(find_recordings([str(packed)])) == list(find_recordings([str(plain)]))


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"audio_filepath": 5, "duration": 1, "text": ""}'])
def test_of_a_broken_line_all_say_the_same(tmp_path: Path, line: str) -> None:
    manifest = write_manifest(tmp_path / "m.jsonl", "good")
    manifest.write_text(manifest.read_text() + line + "\n")
    with pytest.raises(ManifestError) as training:
        read_manifest(manifest)
    with pytest.raises(ManifestError) as evaluation:
        read_datasets(manifest)
    good, bad = find_recordings([str(manifest)])
    assert isinstance(good, Found)
    assert str(bad) == str(training.value) == str(evaluation.value)
    assert str(bad).startswith(f"{manifest}:2: expected ")
