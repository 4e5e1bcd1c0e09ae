"""Which recordings a command line means, what of a folder it does not, and under which names results are written."""

import errno
import json
import os
from pathlib import Path

import pytest

from asr.audio.parts import Part
from asr.decoding.words import Transcript
from asr.errors import AudioError, ConfigError, ManifestError
from pipelines.batch.folder_batch import _Batch
from pipelines.batch.ledger import Ledger, written_before
from pipelines.batch.pool import Failed, Heard
from pipelines.output_names import name_apart, told_apart
from pipelines.sources import Found, NotFollowed, PassedOver, find_recordings


def fill(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def recordings(folder: Path) -> list[Found]:
    return [found for found in find_recordings([str(folder)]) if isinstance(found, Found)]


def stems(folder: Path, earlier: dict[str, str] | None = None) -> dict[str, str]:
    """File -> the name that its texts get."""
    named = name_apart(recordings(folder), earlier or {})
    return {str(found.path.relative_to(folder)): str(found.stem) for found in named if found.path}


def passed_over(folder: Path) -> str:
    return "".join(str(found) for found in find_recordings([str(folder)]) if isinstance(found, PassedOver))


def test_what_differs_in_its_suffix_alone_keeps_it_and_nothing_else_does(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "a.mp3", "b.wav", "deep/a.wav", "deep/c.WAV", "deep/c.wav")
    apart = {"deep/c.WAV": "deep/c.WAV", "deep/c.wav": "deep/c.wav"}
    alone = {"b.wav": "b", "deep/a.wav": "deep/a"}
    assert stems(tmp_path) == {"a.mp3": "a.mp3", "a.wav": "a.wav", **alone, **apart}


def test_a_name_with_its_suffix_is_kept_apart_from_one_that_looks_like_it(tmp_path: Path) -> None:
    fill(tmp_path, "a.mp3", "a.wav", "a.wav.flac")
    assert stems(tmp_path) == {name: name for name in ("a.mp3", "a.wav", "a.wav.flac")}


def test_a_recording_keeps_the_name_that_it_had_whatever_comes_or_goes(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "a.mp3")
    assert stems(tmp_path, {"a": ".wav"}) == {"a.wav": "a", "a.mp3": "a.mp3"}
    assert stems(tmp_path, {"a": ".wav", "a.mp3": ".mp3"}) == {"a.wav": "a", "a.mp3": "a.mp3"}
    (tmp_path / "a.wav").unlink()
    assert stems(tmp_path, {"a.wav": ".wav", "a.mp3": ".mp3"}) == {"a.mp3": "a.mp3"}
    assert stems(tmp_path, {"a": ".wav"}) == {"a.mp3": "a.mp3"}, "what was written of a.wav is not written over"


def test_what_not_even_the_suffix_tells_apart_is_refused(tmp_path: Path) -> None:
    fill(tmp_path, "x/a.wav", "y/a.wav")
    found = [*recordings(tmp_path / "x"), *recordings(tmp_path / "y")]
    with pytest.raises(ConfigError, match=r"x/a\.wav and .*y/a\.wav would both be written"):
        name_apart(found, {})


def test_of_names_with_a_suffix_a_person_is_told(tmp_path: Path) -> None:
    fill(tmp_path, *(f"{letter}{suffix}" for letter in "abc" for suffix in (".wav", ".mp3")), "d.wav")
    found = recordings(tmp_path)
    assert told_apart(found, name_apart(found, {})).endswith("of their texts: a.mp3, a.wav, b.mp3 …")
    assert told_apart(found[-1:], name_apart(found[-1:], {})) == ""


def test_the_ledger_tells_what_was_written_under_which_name(tmp_path: Path) -> None:
    assert written_before(tmp_path) == {}
    fill(tmp_path, "a.wav", "b.mp3")
    ledger = Ledger(tmp_path)
    ledger.enter("a", tmp_path / "a.wav", "s")
    ledger.enter("b.mp3", tmp_path / "b.mp3", "s")
    assert written_before(tmp_path) == {"a": ".wav", "b.mp3": ".mp3"}
    ledger.close()
    (tmp_path / "ledger.sqlite").write_bytes(b"no ledger " * 999)
    with pytest.raises(ConfigError, match="cannot be read as a ledger"):
        written_before(tmp_path)


def planned(folder: Path, out: Path) -> list[str]:
    """What a batch that goes on in `out` does now, as if it were done."""
    named = name_apart(recordings(folder), written_before(out))
    ledger, batch = Ledger(out), _Batch(named, out, ("txt",))
    _, todo = batch.plan(ledger, "settings", retry_failed=False)
    for stem in todo:
        (out / f"{stem}.txt").write_text(stem)
        ledger.done(stem, audio_hash="", seconds=1.0)
    ledger.close()
    return todo


def test_a_batch_that_goes_on_neither_renames_nor_redoes_what_has_got_or_lost_a_namesake(tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "in", "a.wav", "b.wav", "b.mp3"), tmp_path / "out"
    assert sorted(planned(folder, out)) == ["a", "b.mp3", "b.wav"]
    fill(folder, "a.mp3")
    assert planned(folder, out) == ["a.mp3"]
    (folder / "b.mp3").unlink()
    (folder / "a.wav").unlink()
    assert planned(folder, out) == []
    assert sorted(path.name for path in out.glob("*.txt")) == ["a.mp3.txt", "a.txt", "b.mp3.txt", "b.wav.txt"]


def test_a_name_that_is_no_text_keeps_its_place_in_the_ledger_and_its_bytes_on_the_disk(tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "in", "caf\udce9.wav", "b.wav", "b.mp3"), tmp_path / "out"
    assert planned(folder, out) == ["b.mp3", "b.wav", "caf\\udce9"]
    assert written_before(out)["caf\\udce9"] == ".wav"
    fill(folder, "caf\udce9.mp3")
    assert stems(folder, written_before(out))["caf\udce9.wav"] == "caf\udce9", "it has been written under this name"


def test_a_text_that_cannot_be_written_costs_no_other_recording_its_own(tmp_path: Path) -> None:
    folder, out = fill(tmp_path / "in", "a.wav", "b.wav", "caf\udce9.wav"), tmp_path / "out"
    fill(out, "a.txt/in the way")
    ledger, batch = Ledger(out), _Batch(recordings(folder), out, ("txt",))
    _, todo = batch.plan(ledger, "settings", retry_failed=False)
    ends = [batch._keep(ledger, stem, Heard(Transcript(stem, 1.0, ()), "")) for stem in todo]
    assert [isinstance(end, Failed) for end in ends] == [True, False, False]
    assert [row.state for row in ledger.rows()] == ["queued", "done", "done"]
    assert (out / "b.txt").is_file()
    assert (out / "caf\udce9.txt").is_file()
    ledger.close()


def test_a_link_is_a_recording_or_is_named(tmp_path: Path) -> None:
    fill(tmp_path, "in/a.wav", "elsewhere/b.wav")
    (tmp_path / "in" / "gone.wav").symlink_to(tmp_path / "absent.wav")
    (tmp_path / "in" / "there.wav").symlink_to(tmp_path / "elsewhere" / "b.wav")
    (tmp_path / "in" / "linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "in" / "round").symlink_to(tmp_path / "in")
    found = list(find_recordings([str(tmp_path / "in")]))
    assert [x.link.name for x in found if isinstance(x, NotFollowed)] == ["linked", "round"]
    assert [x.path.name for x in found if isinstance(x, Found) and x.path] == ["a.wav", "gone.wav", "there.wav"]


def test_a_folder_that_is_closed_to_us_is_an_error_and_costs_no_other_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "a.wav", "closed/b.wav")
    scandir = os.scandir

    def scan(path: str) -> object:
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    found = list(find_recordings([str(tmp_path)]))
    assert [x.path for x in found if isinstance(x, Found)] == [tmp_path / "a.wav"]
    assert [str(x) for x in found if isinstance(x, AudioError)] == [
        f"{tmp_path / 'closed'}: cannot be looked into: Permission denied"
    ]


def test_files_that_are_no_recordings_are_counted_by_suffix(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "b.doc", "c.doc", "deep/notes.txt", "deep/LICENCE", "deep/d.PDF")
    assert passed_over(tmp_path).startswith(f"{tmp_path}: passed over")
    assert passed_over(tmp_path).endswith(": .doc 2, no suffix 1, .pdf 1, .txt 1")


def test_the_texts_of_recordings_and_hidden_files_alarm_nobody(tmp_path: Path) -> None:
    fill(tmp_path, "a.wav", "a.txt", "a.srt", "a.wav.txt", "texts/a.json", ".hidden", ".git/config.txt", "b.MP3")
    assert passed_over(tmp_path) == ""


def test_hidden_recordings_are_left_alone_and_a_folder_that_is_named_is_not_hidden(tmp_path: Path) -> None:
    folder = tmp_path / ".talks"
    fill(folder, "a.wav", "._a.wav", ".trash/b.wav", "deep/c.wav")
    assert [x.name for x in find_recordings([str(folder)])] == [str(folder / "a.wav"), str(folder / "deep" / "c.wav")]


def test_a_line_with_an_offset_is_a_part_and_one_without_is_the_whole(tmp_path: Path) -> None:
    lines = [
        {"audio_filepath": "deep/a.wav", "duration": 9.0},
        {"audio_filepath": "deep/a.wav", "offset": 1.5, "duration": 2},
        {"audio_filepath": "deep/a.wav", "offset": 0, "duration": 2},
        {"audio_filepath": "deep/a.wav", "offset": 4},
        {"audio_filepath": "b.wav", "offset": 0.0},
    ]
    (tmp_path / "m.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = recordings(tmp_path / "m.jsonl")
    path = tmp_path / "deep" / "a.wav"
    assert [x.open() for x in found] == [path, Part(path, 1.5, 2), Part(path, 0, 2), Part(path, 4), tmp_path / "b.wav"]
    assert [str(x.stem) for x in found] == [f"deep/a{x}" for x in ("", "@1500-3500", "@0-2000", "@4000-end")] + ["b"]
    assert found[1].name == f"{path}@1500-3500"
    assert str(found[1].longer_stem) == "deep/a.wav@1500-3500"


@pytest.mark.parametrize(
    "times", ['"offset": -1', '"offset": "late"', '"offset": 1, "duration": 0', '"offset": 1, "duration": []']
)
def test_a_part_with_times_that_are_none_is_named_with_its_line(tmp_path: Path, times: str) -> None:
    (tmp_path / "m.jsonl").write_text(f'{{"audio_filepath": "a.wav"}}\n{{"audio_filepath": "a.wav", {times}}}\n')
    _, bad = find_recordings([str(tmp_path / "m.jsonl")])
    assert isinstance(bad, ManifestError)
    assert str(bad).startswith(f"{tmp_path / 'm.jsonl'}:2: expected ")
