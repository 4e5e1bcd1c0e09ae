from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.words import Word
from asr.events import Final
from pipelines.live_graph.journal import Journal, read_journal
from pipelines.live_graph.kept_audio import KeptAudio
from pipelines.live_graph.output import JOURNAL, Output


def final(utterance: int, stream: str = "a") -> Final:
    text = f"words of {stream} {utterance}"
    return Final(stream, utterance, utterance, text, 1.0, 2.0, (Word(text, 1.0, 2.0, 0.5),))


def test_a_final_is_written_once_however_often_it_is_said(tmp_path: Path) -> None:
    for utterances in ([0, 1], [0, 1, 2], [2], [1, 2, 3]):  # each time as if the actor had been started anew
        output = Output(tmp_path / "s", tmp_path / "out.txt")
        output.write([final(number) for number in utterances])
        output.write([final(number) for number in utterances])
    assert [entry["utterance"] for entry in read_journal(tmp_path / "s" / JOURNAL)] == [0, 1, 2, 3]
    assert (tmp_path / "out.txt").read_text() == "".join(f"words of a {number}\n" for number in range(4))
    assert Output(tmp_path / "s").written("a").last == 3
    assert Output(tmp_path / "s").written("b").last == -1


def test_a_journal_cut_anywhere_is_a_true_beginning_and_goes_on(tmp_path: Path) -> None:
    Output(tmp_path / "whole", tmp_path / "out.txt").write([final(number) for number in range(3)])
    whole, text = (tmp_path / "whole" / JOURNAL).read_bytes(), (tmp_path / "out.txt").read_bytes()
    for cut in range(len(whole) + 1):
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / JOURNAL).write_bytes(whole[:cut])
        kept = whole[:cut].count(b"\n")
        (folder / "out.txt").write_bytes(b"".join(text.splitlines(keepends=True)[:kept]))
        output = Output(folder, folder / "out.txt")
        assert output.written("a").last == kept - 1
        output.write([final(number) for number in range(3)])
        assert (folder / JOURNAL).read_bytes() == whole
        assert (folder / "out.txt").read_bytes() == text


def test_text_that_a_crash_kept_from_the_file_is_placed_when_the_session_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    out.write_text("older words\n")
    Output(tmp_path / "s", out).write([final(0), final(1)])
    text = out.read_bytes()
    for cut in range(len("older words\nwords of a 0\n"), len(text) + 1):
        out.write_bytes(text[:cut])
        Output(tmp_path / "s", out)
        assert out.read_bytes() == text, f"cut at byte {cut}"


def test_a_text_file_that_takes_no_more_is_told_of_and_costs_the_journal_nothing(tmp_path: Path) -> None:
    output = Output(tmp_path, Path("/dev/full"))
    for number in range(2):
        said = output.write([final(number)])
        assert said == "--out: No space left on device: what is said from now on is not written there"
    output.close()
    assert [entry["utterance"] for entry in read_journal(tmp_path / JOURNAL)] == [0, 1]


def test_a_streams_end_is_noted_once(tmp_path: Path) -> None:
    output = Output(tmp_path)
    assert not output.written("a").ended
    output.end("a")
    output.end("a")
    assert Output(tmp_path).written("a").ended
    assert len(read_journal(tmp_path / JOURNAL)) == 1


def test_a_line_that_is_no_entry_ends_the_journal_there(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL)
    journal.add([{"stream": "a", "utterance": 0}])
    journal.close()
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b"\x00\x00\x00\n")
    journal = Journal(tmp_path / JOURNAL)
    journal.add([{"stream": "a", "utterance": 1}])
    assert [entry["utterance"] for entry in read_journal(tmp_path / JOURNAL)] == [0, 1]


@given(sizes=st.lists(st.integers(0, 500), max_size=8), reopened=st.integers(0, 8))
def test_kept_sound_is_the_same_however_it_was_cut_and_reopened(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], reopened: int
) -> None:
    folder = tmp_path_factory.mktemp("kept")
    samples = np.random.default_rng(0).normal(size=sum(sizes)).astype(np.float32)
    kept, first = KeptAudio(folder, file_samples=300), 0
    for number, size in enumerate(sizes):
        if number == reopened:
            kept = KeptAudio(folder, file_samples=300)
        kept.append(samples[first : first + size])
        first += size
    assert kept.length == len(samples)
    assert np.array_equal(kept.read(0, len(samples) + 99), samples)
    assert np.array_equal(
        kept.read(len(samples) // 3, len(samples) // 2), samples[len(samples) // 3 : len(samples) // 2]
    )
    kept.forget(len(samples) // 2)
    assert np.array_equal(kept.read(len(samples) // 2, len(samples)), samples[len(samples) // 2 :])


def test_half_a_sample_that_a_crash_left_is_cut_off(tmp_path: Path) -> None:
    samples = np.arange(700, dtype=np.float32)
    KeptAudio(tmp_path, file_samples=300).append(samples)
    with (tmp_path / "000000000600.f32").open("ab") as file:
        file.write(b"\x01\x02\x03")
    kept = KeptAudio(tmp_path, file_samples=300)
    assert kept.length == 700
    kept.append(samples[:10])
    assert np.array_equal(kept.read(600, 710), np.concatenate([samples[600:], samples[:10]]))
