"""Hypotheses of other systems, saved results, and recognising with a stand-in."""

import json
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest
import soundfile

from asr.decoding.words import Transcript, Utterance, Word
from asr.errors import AudioError, ManifestError
from asr.evaluation.answers import Answer
from asr.evaluation.datasets import Dataset, Reference, read_datasets
from asr.evaluation.datasets.reference import Problem
from asr.evaluation.hypotheses import answer_with_hypotheses, read_hypotheses
from asr.evaluation.result import CSV_COLUMNS, Result, read_result, summarise, write_csv, write_json
from asr.evaluation.transcribing import answer_reference, estimate_snr
from asr.output import formats
from tests.evaluation.answers_for_tests import answers_of, random_pairs


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def dataset_of(*references: Reference) -> Dataset:
    return Dataset("set", "manifest", references)


TWO = dataset_of(Reference("a", Path("audio/a.wav"), "one two"), Reference("b", Path("audio/b.wav"), "three"))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.jsonl", '{"id": "a", "text": "one two"}\n{"id": "b", "text": "tree"}\n'),
        (
            "x.jsonl",
            '{"audio_filepath": "/data/a.wav", "pred_text": "one two"}\n'
            '{"audio_filepath": "audio/b.wav", "pred_text": "tree"}\n',
        ),
        ("x.txt", "a one two\nb tree\n"),
        ("x.txt", "a\tone two\nb\ttree\n"),
        ("x.trn", "one two (a)\ntree (b)\n"),
        ("x.ctm", ";; sclite\na 1 0.00 0.20 one 0.9\na 1 0.20 0.30 two 0.8\nb 1 0.10 0.20 tree\n"),
    ],
)
def test_hypotheses_of_every_kind_find_their_references(tmp_path: Path, name: str, content: str) -> None:
    answers, problems = answer_with_hypotheses([TWO], read_hypotheses(write(tmp_path / name, content)), where=name)
    assert [(x.id, x.reference, x.hypothesis) for x in answers] == [("a", "one two", "one two"), ("b", "three", "tree")]
    assert problems == []


WRITERS = {"json": formats.as_json, "ctm": formats.ctm, "txt": formats.txt}


def test_every_output_of_asr_transcribe_can_be_scored(tmp_path: Path) -> None:
    """Lines on stdout and folders of files; the words keep their confidences where the format has them."""
    references = [Reference(f"audio/{x}.wav", Path(f"audio/{x}.wav"), text) for x, text in (("a", "one"), ("b", ""))]
    spoken = Transcript("audio/a.wav", 1.0, (Utterance(0.0, 1.0, (Word("one", 0.0, 0.5, 0.75),)),))
    silent = Transcript("audio/b.wav", 1.0, ())
    for name in WRITERS:
        files = [(tmp_path / name / f"{Path(x.name).stem}.{name}", WRITERS[name](x)) for x in (spoken, silent)]
        (tmp_path / name).mkdir()
        for path, text in files:
            write(path, text)
        together = "audio/a.wav\tone\n" if name == "txt" else "".join(text for _, text in files)
        lines = write(tmp_path / f"lines.{name}", together)
        for source in (tmp_path / name, lines):
            answers, _ = answer_with_hypotheses([dataset_of(*references)], read_hypotheses(source), where=name)
            assert [x.hypothesis for x in answers] == ["one", ""]
            assert [word.confidence for word in answers[0].words] == ([] if name == "txt" else [0.75])


def test_what_has_no_partner_is_named_on_both_sides(tmp_path: Path) -> None:
    path = write(tmp_path / "x.txt", "a one\na again\nzz lost\n")
    answers, problems = answer_with_hypotheses([TWO], read_hypotheses(path), where="x.txt")
    assert [x.hypothesis for x in answers] == ["one", ""]
    assert [(x.kind, x.id) for x in problems] == [("doubled", "a"), ("unanswered", "b"), ("unmatched", "zz")]
    with pytest.raises(ManifestError, match="begin with 'q'"):
        answer_with_hypotheses([TWO], read_hypotheses(write(path, "q one\n")), where="x.txt")


def test_a_ctm_of_a_whole_recording_is_cut_to_the_segments(tmp_path: Path) -> None:
    talk = Path("talk.wav")
    cuts = dataset_of(Reference("u1", talk, "one", 0.0, 1.0), Reference("u2", talk, "two three", 1.0, 1.0))
    path = write(tmp_path / "x.ctm", "talk 1 0.1 0.4 one\ntalk 1 0.9 0.4 two\ntalk 1 1.5 0.2 three\n")
    answers, _ = answer_with_hypotheses([cuts], read_hypotheses(path), where="x")
    assert [x.hypothesis for x in answers] == ["one", "two three"]


def test_a_hypothesis_is_for_the_recording_of_its_path_and_not_for_another_of_the_same_name(tmp_path: Path) -> None:
    references = [Reference("001", Path(f"{folder}/001.wav"), "one") for folder in "ab"]
    sets = [Dataset(x.audio.parent.name, "beside", (x,)) for x in reversed(references) if isinstance(x.audio, Path)]
    path = write(tmp_path / "x.jsonl", '{"audio_filepath": "a/001.wav", "text": "one"}\n')
    answers, problems = answer_with_hypotheses(sets, read_hypotheses(path), where="x")
    assert [(x.dataset, x.hypothesis) for x in answers] == [("b", ""), ("a", "one")]
    assert [(x.kind, x.id) for x in problems] == [("unanswered", "001")]


@pytest.mark.parametrize("words", ["", ', "words": [{"word": "one"}, {"word": "two"}]'])
def test_a_hypothesis_that_could_be_for_several_references_is_for_none(tmp_path: Path, words: str) -> None:
    """Words of a whole recording without times are no words of its parts; nor are those of one of two same names."""
    talk = Path("talk.wav")
    cuts = dataset_of(Reference("u1", talk, "one", 0.0, 1.0), Reference("u2", talk, "two", 1.0, 1.0))
    same = [Dataset(x, "beside", (Reference("talk", Path(f"{x}/talk.wav"), "one two"),)) for x in "ab"]
    heard = read_hypotheses(write(tmp_path / "x.jsonl", f'{{"id": "talk", "text": "one two"{words}}}\n'))
    for sets in ([cuts], same):
        answers, problems = answer_with_hypotheses(sets, heard, where="x")
        assert [x.hypothesis for x in answers] == ["", ""]
        assert [(x.kind, "2 references" in x.detail) for x in problems] == [("unanswered", True)] * 2
    again = Dataset("part", "manifest", (Reference("x", talk, "one two"),))  # one recording in two sets
    answers, problems = answer_with_hypotheses([again, replace(again, name="all")], heard, where="x")
    assert ([x.hypothesis for x in answers], problems) == (["one two"] * 2, [])


def test_the_channels_of_a_ctm_are_heard_apart(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "talk.wav", np.zeros(16_000), 16_000)
    stm = write(tmp_path / "x.stm", "talk A ann 0.0 1.0 one two\ntalk B bob 0.0 1.0 three\n")
    ctm = write(tmp_path / "x.ctm", "talk A 0.1 0.1 one\ntalk B 0.2 0.1 three\ntalk A 0.3 0.1 two\n")
    answers, problems = answer_with_hypotheses(read_datasets(stm), read_hypotheses(ctm), where="x")
    assert ([x.hypothesis for x in answers], problems) == (["one two", "three"], [])


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.ctm", "a 1 0.0 0.2 word 95", "confidence of 0 to 1"),
        ("x.ctm", "a 1 0.0 0.2 word NA", "confidence of 0 to 1"),
        ("x.jsonl", '{"id": "a", "text": "x", "words": [{"word": "x", "confidence": -0.3}]}', "confidence of 0 to 1"),
        ("x.jsonl", '{"id": "a"}', "expected one of"),
        ("x.jsonl", '{"id": "a", "text": "x", "words": [{"start": 1}]}', "words with"),
        ("x.ctm", "a 1 0.0 word", "channel start"),
        ("x.trn", "words without an id", r"\(id\)"),
    ],
)
def test_broken_hypotheses_are_named_with_their_line(tmp_path: Path, name: str, content: str, words: str) -> None:
    with pytest.raises(ManifestError, match=words) as caught:
        read_hypotheses(write(tmp_path / name, content))
    assert caught.value.where.endswith(":1")


def full_result() -> Result:
    words = (Word("one", 0.0, 0.5, 0.9), Word("to", 0.5, 1.0, float("nan")))
    first = Answer(
        "x", "other", "one two", "one to", words=words, duration_s=2.0, wall_s=0.1, snr_db=12.0, tags={"room": "hall"}
    )
    return Result(
        "small",
        (first, *answers_of(random_pairs(30), speakers=12)),
        (Problem("missing", "y", "no file"),),
        {"model": "small"},
    )


def test_a_saved_result_reads_back_as_it_was(tmp_path: Path) -> None:
    result = full_result()
    read = read_result(write(tmp_path / "r.json", write_json(summarise(result))))
    assert str(read) == str(result)  # by their words, as NaN is not equal to itself


def test_the_summary_has_every_key_that_programs_are_promised() -> None:
    summary = summarise(full_result())
    wanted = {
        "wer",
        "wer_low",
        "wer_high",
        "cer",
        "words",
        "substitutions",
        "deletions",
        "insertions",
        "audio_seconds",
        "real_time_factor",
    }
    assert wanted <= summary.keys()
    assert set(summary["sets"]) == {"other", "set"}
    assert all(wanted <= score.keys() for score in summary["sets"].values())
    assert summary["words"] == sum(score["words"] for score in summary["sets"].values())
    assert set(summary["normalisers"]) == {"none", "basic", "english", "whisper"}
    assert summary["normalisers"]["basic"]["wer"] == summary["wer"]
    assert summary["problem_counts"] == {"missing": 1}
    assert json.loads(write_json({**summary, "more": 1})) == {**summary, "more": 1}


def test_a_change_of_normaliser_shows_in_the_table_and_not_in_the_words() -> None:
    result = Result("x", (Answer("u", "s", "It's twenty-five!", "it is 25"),))
    table = summarise(result)["normalisers"]
    assert {name: round(row["wer"]) for name, row in table.items()} == {
        "none": 150,
        "basic": 100,
        "english": 0,
        "whisper": 0,
    }


def test_csv_has_one_row_an_utterance() -> None:
    lines = write_csv(summarise(full_result())).splitlines()
    assert lines[0] == ",".join(CSV_COLUMNS)
    assert len(lines) == 32
    assert lines[1].startswith("x,other,,,2.0,12.0,0.1,50.0,1,1,0,0,0.9,one two,one to")


def test_what_is_no_result_is_refused_with_a_reason(tmp_path: Path) -> None:
    for content, words in (
        ("{", "expected a result"),
        ('{"a": 1}', "format"),
        ('{"format": "asr-evaluation", "version": 99}', "version 99"),
    ):
        with pytest.raises(ManifestError, match=words):
            read_result(write(tmp_path / "r.json", content))


class Echo:
    """Hears the name of the recording, and refuses bytes that are no WAV file."""

    def transcribe(self, source: Path | bytes | BinaryIO, *, name: str | None = None) -> Transcript:
        if name == "bad":
            raise AudioError(name, "expected audio; it is noise to me")
        assert isinstance(source, Path) or bytes(source)[:4] == b"RIFF"  # type: ignore[arg-type]
        return Transcript(str(name), 1.5, (Utterance(0.0, 1.5, (Word(str(name), 0.0, 1.0, 0.5),)),))


def test_an_answer_has_words_and_times_and_a_failure_has_a_reason(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.zeros(16000), 16000)
    answer = answer_reference(Echo(), "set", Reference("hello", tmp_path / "a.wav", "hello", duration_s=1000.0))
    assert isinstance(answer, Answer)
    assert (answer.hypothesis, answer.words[0].confidence, answer.dataset) == ("hello", 0.5, "set")
    assert answer.duration_s == 1.5  # as it was heard: a manifest's 1000 s would make any recogniser a fast one
    assert answer.wall_s is not None
    assert answer.wall_s >= 0
    failed = answer_reference(Echo(), "set", Reference("bad", tmp_path / "a.wav", "x", duration_s=1000.0))
    assert failed == Problem("failed", "bad", "bad: expected audio; it is noise to me")
    assert isinstance(answer_reference(Echo(), "set", replace(TWO.references[0], audio=None)), Problem)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0, 30.0])
def test_the_estimated_snr_is_near_the_true_one(snr_db: float) -> None:
    """Bursts of a tone over half of the time, in steady noise."""
    rng = np.random.default_rng(0)
    time = np.arange(16000 * 4) / 16000
    speech = np.sin(2 * np.pi * 300 * time) * (np.sin(2 * np.pi * time) > 0) * 0.5
    noise = rng.normal(0, np.sqrt(0.125 / 10 ** (snr_db / 10)), len(time))
    found = estimate_snr((speech + noise).astype(np.float32))
    assert found == pytest.approx(snr_db, abs=2.5)
    assert estimate_snr(np.zeros(100, np.float32)) is None
