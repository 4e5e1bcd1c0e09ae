"""Every reader reads a small example, and says file and line where one is broken."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from asr.errors import ConfigError, ManifestError
from asr.evaluation.datasets import Dataset, read_datasets
from asr.evaluation.datasets.read import recognise_kind
from tests.recordings import AUDIO


def make_audio(path: Path, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(int(16000 * seconds), np.float32), 16000)
    return path


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def only(path: Path, kind: str | None = None) -> Dataset:
    (dataset,) = read_datasets(path, kind=kind)
    return dataset


def texts(dataset: Dataset) -> list[tuple[str, str]]:
    return [(reference.id, reference.text) for reference in dataset.references]


def test_a_nemo_manifest_gives_audio_beside_it_and_every_other_key_as_a_tag(tmp_path: Path) -> None:
    make_audio(tmp_path / "audio/a.wav")
    rows = [
        {
            "audio_filepath": "audio/a.wav",
            "duration": 0.1,
            "text": "one",
            "speaker": "s1",
            "source": "x",
            "accent": "us",
            "age": 25,
        },
        {"audio_filepath": "audio/a.wav", "duration": 0.05, "offset": 0.05, "text": "two"},
    ]
    dataset = only(write(tmp_path / "dev.jsonl", "".join(json.dumps(row) + "\n" for row in rows)))
    first, second = dataset.references
    assert (dataset.name, dataset.kind, dataset.problems) == ("dev", "manifest", ())
    assert first.audio == tmp_path / "audio/a.wav"
    assert dict(first.tags) == {"accent": "us", "age": "25", "speaker": "s1", "source": "x"}
    assert (second.id, second.offset_s, second.duration_s) == ("audio/a.wav@0.05", 0.05, 0.05)


def test_the_sample_recordings_are_read_alike_from_their_manifest_and_from_the_texts_beside_them() -> None:
    listed, beside = only(AUDIO), only(AUDIO, kind="beside")
    assert listed.problems == beside.problems == ()
    assert sorted(text for _, text in texts(listed)) == sorted(text for _, text in texts(beside))
    assert {x.audio for x in listed.references} == {x.audio for x in beside.references}
    assert all(x.speaker and x.source and x.duration_s for x in listed.references)


def test_a_folder_of_manifests_is_one_set_each(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    for name in ("clean", "other"):
        write(tmp_path / f"{name}.jsonl", '{"audio_filepath": "a.wav", "text": "one"}\n')
    assert [dataset.name for dataset in read_datasets(tmp_path)] == ["clean", "other"]


def test_lhotse_cuts_and_supervisions_give_the_same_references(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    recording = {"id": "r1", "sources": [{"type": "file", "channels": [0], "source": "a.wav"}], "duration": 0.1}
    supervision = {"id": "u1", "recording_id": "r1", "start": 0.02, "duration": 0.05, "text": "hi", "speaker": "s"}
    cut = {
        "id": "c1",
        "start": 0.01,
        "duration": 0.08,
        "recording": recording,
        "supervisions": [{**supervision, "start": 0.01}],
    }
    cuts = write(
        tmp_path / "cuts/cuts.jsonl",
        json.dumps({**cut, "recording": {**recording, "sources": [{"type": "file", "source": "../a.wav"}]}}),
    )
    (tmp_path / "recordings.jsonl.gz").write_bytes(gzip.compress(json.dumps(recording).encode()))
    (tmp_path / "supervisions.jsonl.gz").write_bytes(gzip.compress(json.dumps(supervision).encode()))
    (a,), (b,) = only(cuts).references, only(tmp_path).references
    assert (a.id, a.text, a.speaker, a.duration_s) == (b.id, b.text, b.speaker, b.duration_s) == ("u1", "hi", "s", 0.05)
    assert a.offset_s == b.offset_s == pytest.approx(0.02)
    assert Path(str(a.audio)).resolve() == Path(str(b.audio)).resolve()


def test_a_librispeech_tree_gives_speakers(tmp_path: Path) -> None:
    make_audio(tmp_path / "84/121/84-121-0000.flac")
    write(tmp_path / "84/121/84-121.trans.txt", "84-121-0000 GO DO YOU HEAR\n84-121-0001 YES\n")
    dataset = only(tmp_path)
    assert (dataset.kind, texts(dataset), dataset.references[0].speaker) == (
        "librispeech",
        [("84-121-0000", "GO DO YOU HEAR")],
        "84",
    )
    assert [(problem.kind, problem.id) for problem in dataset.problems] == [("missing", "84-121-0001")]


def test_texts_and_subtitles_beside_the_audio(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    make_audio(tmp_path / "deep/b.ogg")
    make_audio(tmp_path / "c.wav")
    make_audio(tmp_path / "d.wav")
    write(tmp_path / "a.txt", "hello\nworld\n")
    write(
        tmp_path / "deep/b.srt",
        "1\n00:00:00,000 --> 00:00:01,500\n<i>two</i>\nlines\n\n2\n00:00:02,000 --> 00:00:03,000\nthere\n",
    )
    write(tmp_path / "c.vtt", "WEBVTT\n\n00:01.000 --> 00:02.000\nvoila\n")
    write(tmp_path / "e.txt", "no audio")
    make_audio(tmp_path / "f.wav")
    write(tmp_path / "f.TXT", "")
    make_audio(tmp_path / "a.ogg")
    write(tmp_path / "README.txt", "about this folder")
    dataset = only(tmp_path)
    assert texts(dataset) == [("a", "hello world"), ("c", "voila"), ("deep/b", "two lines there"), ("f", "")]
    problems = [(problem.kind, problem.id) for problem in dataset.problems]
    assert problems == [("doubled", "a"), ("missing", "d"), ("missing", "e"), ("empty", "f")]


def test_common_voice_prefers_the_test_split_and_finds_clips(tmp_path: Path) -> None:
    make_audio(tmp_path / "clips/c1.mp3")
    header = "client_id\tpath\tsentence\taccents\n"
    write(tmp_path / "test.tsv", header + 'spk\tc1.mp3\tHe said "no.\tus\n')
    write(tmp_path / "train.tsv", header)
    dataset = only(tmp_path)
    assert (dataset.kind, texts(dataset)) == ("commonvoice", [("c1", 'He said "no.')])
    assert (dataset.references[0].speaker, dataset.references[0].tags["accents"]) == ("spk", "us")


def test_ljspeech_takes_the_normalised_text(tmp_path: Path) -> None:
    make_audio(tmp_path / "wavs/LJ-1.wav")
    write(tmp_path / "metadata.csv", "LJ-1|In 1465|In fourteen sixty-five\n")
    dataset = only(tmp_path)
    assert (dataset.kind, texts(dataset)) == ("ljspeech", [("LJ-1", "In fourteen sixty-five")])


def test_a_csv_with_named_columns(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    write(tmp_path / "set.csv", 'file,transcript,speaker,room\na.wav,"well, yes",s1,hall\n')
    reference = only(tmp_path / "set.csv").references[0]
    assert (reference.text, reference.speaker, reference.tags["room"]) == ("well, yes", "s1", "hall")


def test_a_kaldi_folder_with_and_without_segments(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    write(tmp_path / "wav.scp", "r1 a.wav\n")
    write(tmp_path / "text", "r1 all of it\n")
    write(tmp_path / "utt2spk", "r1 s1\nu1 s1\n")
    assert texts(only(tmp_path)) == [("r1", "all of it")]
    write(tmp_path / "segments", "u1 r1 0.02 0.08\n")
    write(tmp_path / "text", "u1 a part\n")
    reference = only(tmp_path).references[0]
    assert (reference.offset_s, reference.duration_s, reference.speaker) == (0.02, pytest.approx(0.06), "s1")


def test_an_stm_leaves_out_what_it_excludes_itself(tmp_path: Path) -> None:
    make_audio(tmp_path / "talk.wav")
    lines = ";; comment\ntalk 1 s1 0.01 0.05 <o,f0,male> so it is\ntalk 1 s1 0.06 0.09 ignore_time_segment_in_scoring\n"
    dataset = only(write(tmp_path / "talks.stm", lines))
    assert texts(dataset) == [("talk-1-0.010", "so it is")]
    assert dataset.references[0].tags["labels"] == "o,f0,male"


def test_a_hugging_face_folder_gives_the_bytes_of_its_audio(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    content = make_audio(tmp_path / "x/a.wav").read_bytes()
    table = pyarrow.table({"audio": [{"bytes": content, "path": "a.wav"}], "text": ["hi"], "speaker_id": [7]})
    (tmp_path / "hf").mkdir()
    parquet.write_table(table, tmp_path / "hf/test-00000.parquet")
    reference = only(tmp_path / "hf").references[0]
    assert (reference.id, reference.audio, reference.text, reference.speaker) == ("a.wav", content, "hi", "7")


def test_what_is_missing_doubled_empty_long_or_crowded_is_named_and_nothing_is_dropped_in_silence(
    tmp_path: Path,
) -> None:
    make_audio(tmp_path / "a.wav")
    rows: list[dict[str, object]] = [
        {"id": "good", "audio_filepath": "a.wav", "text": "fine", "duration": 1},
        {"id": "good", "audio_filepath": "a.wav", "text": "again"},
        {"id": "gone", "audio_filepath": "b.wav", "text": "no file"},
        {"id": "void", "audio_filepath": "a.wav", "text": "  "},
        {"id": "epic", "audio_filepath": "a.wav", "text": "long", "duration": 99999},
        {"id": "full", "audio_filepath": "a.wav", "text": "x" * 100, "duration": 1},
    ]
    dataset = only(write(tmp_path / "m.jsonl", "\n".join(map(json.dumps, rows))))
    found = [(problem.kind, problem.id) for problem in dataset.problems]
    assert found == [("doubled", "good"), ("missing", "gone"), ("empty", "void"), ("long", "epic"), ("crowded", "full")]
    assert [reference.id for reference in dataset.references] == ["good", "void", "epic", "full"]
    assert len(dataset.references) + sum(problem.is_failure for problem in dataset.problems) == len(rows)


BROKEN = {
    "json.jsonl": ('{"audio_filepath": "a.wav", "text": "x"}\n{"audio', ":2", "JSON object"),
    "keys.jsonl": ('{"text": "x"}', ":1", "audio_filepath"),
    "time.jsonl": ('{"audio_filepath": "a.wav", "text": "x", "duration": "soon"}', ":1", "seconds"),
    "text.jsonl": ('{"audio_filepath": "a.wav", "text": 5}', ":1", "'text'"),
    "cut.jsonl": ('{"id": "c", "supervisions": []}', ":1", "recording"),
    "source.jsonl": ('{"id": "c", "recording": {"sources": [5]}, "supervisions": []}', ":1", "type 'file'"),
    "cuts.jsonl": (
        '{"id": "c", "recording": {"sources": [{"type": "file", "source": "a.wav"}]}, "supervisions": [5]}',
        ":1",
        "list of objects",
    ),
    "start.jsonl": (
        '{"id": "c", "recording": {"sources": [{"type": "file", "source": "a"}]}, "start": "x"}',
        ":1",
        "start",
    ),
    "orphan.jsonl": ('{"id": "u", "recording_id": "r1", "start": 0, "duration": 1, "text": "x"}', ":1", "recordings"),
    "1-2.trans.txt": ("1-2-3 YES\nnonsense line\n", ":2", "speaker-chapter-number"),
    "cv/test.tsv": ("path\tsentence\na.mp3\tone\ttwo\n", ":2", "columns"),
    "lj/metadata.csv": ("LJ-1|text\nno bars here\n", ":2", "id|text"),
    "few/test.tsv": ("path\tsentence\na.mp3\n", ":2", "sentence"),
    "quote.csv": ('file,text\na.wav,fine\nb.wav,"never ends\nc.wav,lost\n', ":3", "comma-separated"),
    "offset.csv": ("file,text,offset\na.wav,x,late\n", ":2", "seconds"),
    "columns.csv": ("file,words\na.wav,x\n", ":2", "transcript"),
    "talk.stm": ("talk 1 s1 0 1 fine\ntalk 1 s1 zero 2 no\n", ":2", "start"),
    "few.stm": (";; comment\ntalk 1 s1\n", ":2", "file channel speaker"),
    "rev.stm": ("talk 1 s1 2 1 no\n", ":1", "ends"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    content, line, words = BROKEN[name]
    path = write(tmp_path / name, content)
    (path.parent / "clips").mkdir(exist_ok=True)
    with pytest.raises(ManifestError) as caught:
        read_datasets(path)
    assert caught.value.where == f"{path}{line}"
    assert words in caught.value.problem


@pytest.mark.parametrize(
    ("file", "line", "words"),
    [
        ("wav.scp", "r1 sph2pipe r1.sph |", "command"),
        ("wav.scp", "r1 feats.ark:17", "archives"),
        ("segments", "u1 r1 5 3", "ends"),
        ("segments", "u1 r1 0", "utterance recording start end"),
        ("segments", "u1 r1 zero 3", "start"),
        ("segments", "u1 r7 0 1", "r7"),
        ("text", "u9 hello", "u9"),
        ("utt2spk", "u1", "name value"),
    ],
)
def test_a_broken_kaldi_folder_is_named_with_its_line(tmp_path: Path, file: str, line: str, words: str) -> None:
    good = {"wav.scp": "r1 a.wav", "segments": "u1 r1 0 1", "text": "u1 hello", "utt2spk": "u1 s"}
    for name, content in {**good, file: line}.items():
        write(tmp_path / name, content + "\n")
    with pytest.raises(ManifestError) as caught:
        read_datasets(tmp_path)
    at = "text" if words == "r7" else file  # a recording that is not there is missed where it is used
    assert caught.value.where == f"{tmp_path / at}:1"
    assert words in caught.value.problem


def test_a_broken_subtitle_is_named_with_its_line(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    path = write(tmp_path / "a.srt", "1\n00:00:01 -> 00:00:02\n")
    with pytest.raises(ManifestError, match=str(path)):
        read_datasets(tmp_path, kind="beside")
    write(path, "1\nearly --> late\nhi\n")
    with pytest.raises(ManifestError, match=f"{path}:2"):
        read_datasets(tmp_path, kind="beside")


def test_a_broken_vtt_is_named_with_its_line(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    path = write(tmp_path / "a.vtt", "WEBVTT\n\n00:02.000 --> 00:01.000\nhi\n")
    with pytest.raises(ManifestError, match=f"{path}:3: the subtitle ends"):
        read_datasets(tmp_path)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.stm", "1-2.trans.txt", "words/a.txt"])
def test_text_that_is_not_utf_8_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    make_audio(tmp_path / "words/a.wav")
    path = write(tmp_path / name, "")
    path.write_bytes("1-2-0 fine\n1-2-1 voilà\n".encode("latin-1"))
    with pytest.raises(ManifestError) as caught:
        read_datasets(path.parent if path.parent != tmp_path else path)
    assert caught.value.where == f"{path}:2"
    assert "UTF-8" in caught.value.problem


def test_a_broken_supervision_and_a_broken_recording_are_named_with_file_and_line(tmp_path: Path) -> None:
    make_audio(tmp_path / "a.wav")
    recording = {"id": "r1", "sources": [{"type": "file", "source": "a.wav"}]}
    supervision = {"id": "u1", "recording_id": "r1", "start": 0.0, "duration": 0.1, "text": "hi"}
    broken = {
        "supervisions.jsonl:2": (recording, {**supervision, "id": "u2", "duration": None}),
        "recordings.jsonl:1": ({**recording, "sources": [{"type": "command", "source": "cat a.wav"}]}, supervision),
    }
    for where, (first, second) in broken.items():
        write(tmp_path / "recordings.jsonl", json.dumps(first) + "\n")
        write(tmp_path / "supervisions.jsonl", f"{json.dumps(supervision)}\n{json.dumps(second)}\n")
        with pytest.raises(ManifestError) as caught:
            read_datasets(tmp_path)
        assert caught.value.where == str(tmp_path / where)


def test_a_damaged_gzip_file_is_named(tmp_path: Path) -> None:
    content = bytearray(gzip.compress(b'{"audio_filepath": "a.wav", "text": "x"}' * 9))
    for damaged in (content[:-9], content[:12] + b"xxxx" + content[16:], b"plain"):
        path = tmp_path / "m.jsonl.gz"
        path.write_bytes(damaged)
        with pytest.raises(ManifestError, match=str(path)):
            read_datasets(path)


def test_a_dataset_without_the_columns_or_the_sound_is_named_with_its_row(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    for columns, words in (
        ({"sound": ["a.wav"], "text": ["hi"]}, "a column of audio"),
        ({"audio": ["a.wav"], "label": ["hi"]}, "one of text"),
        ({"audio": [{"bytes": None, "path": None}], "text": ["hi"]}, "neither"),
    ):
        parquet.write_table(pyarrow.table(columns), path)
        with pytest.raises(ManifestError, match=f"{path}: row 1: .*{words}"):
            read_datasets(path)


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = write(tmp_path / "x.parquet", "not parquet")
    with pytest.raises(ManifestError, match=str(path)):
        read_datasets(path)


def test_what_cannot_be_recognised_says_which_kinds_there_are(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="--kind"):
        recognise_kind(tmp_path)
    with pytest.raises(ConfigError, match="expected one of manifest"):
        read_datasets(tmp_path, kind="audiobook")
    with pytest.raises(ManifestError, match="no such file"):
        read_datasets(tmp_path / "nowhere")
    write(tmp_path / "empty.jsonl", "\n")
    with pytest.raises(ManifestError, match="at least one"):
        read_datasets(tmp_path)


def test_a_dataset_that_save_to_disk_wrote_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    make_audio(tmp_path / "a.wav")
    table = pyarrow.table({"path": ["a.wav"], "sentence": ["hi"], "id": ["u7"]})
    path = str(tmp_path / "data-00000-of-00001.arrow")
    with pyarrow.OSFile(path, "wb") as sink, pyarrow.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    assert texts(only(tmp_path)) == [("u7", "hi")]
