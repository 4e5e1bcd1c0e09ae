"""Laws of what commands write: whole or not at all, tried before the work, never over what they read, never lost."""

import os
import threading
from pathlib import Path

import pytest

from asr.errors import AsrError, ConfigError
from asr.writing import whole_file, write_whole
from pipelines.outputs import check_files, check_folder, save_text


def refuse_to_replace(monkeypatch: pytest.MonkeyPatch, target: Path) -> None:
    """The disk of one file is full (its name is the last thing that is given to it)."""
    replace = Path.replace

    def full(self: Path, other: Path) -> Path:
        if other == target:
            raise OSError(28, "No space left on device")
        return replace(self, other)

    monkeypatch.setattr(Path, "replace", full)


def test_a_file_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("before")

    def fail() -> None:
        with whole_file(tmp_path / "a.txt") as part:
            part.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(AsrError, match="cannot be written: No space left"):
        fail()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "before")]


def test_names_may_be_as_long_as_names_can_be_and_hold_bytes_that_are_no_text(tmp_path: Path) -> None:
    name = "n" * 250 + ".json"
    write_whole(tmp_path / "new" / name, '"a\udcffb"')
    assert (tmp_path / "new" / name).read_text(encoding="utf-8") == '"a\\udcffb"'


def test_a_link_stays_a_link_and_a_pipe_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "text"
    os.mkfifo(tmp_path / "pipe")
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / "pipe").read_text()))
    reader.start()
    check_files(tmp_path / "pipe")
    write_whole(tmp_path / "pipe", "through")
    reader.join()
    assert read == ["through"]
    assert (tmp_path / "pipe").is_fifo()


@pytest.mark.parametrize("name", ["file/below", "folder", "n" * 300, "read.txt"])
def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    (tmp_path / "read.txt").write_text("dear to me")
    with pytest.raises(ConfigError):
        check_files(tmp_path / name, read=[tmp_path / "file" / ".." / "read.txt", tmp_path / "read.txt"])


def test_two_results_are_not_written_to_one_file(tmp_path: Path) -> None:
    check_files(tmp_path / "new" / "a", None, tmp_path / "new" / "b")
    with pytest.raises(ConfigError, match="two results"):
        check_files(tmp_path / "a", tmp_path / "." / "a")
    assert not list(tmp_path.iterdir())


def test_a_folder_is_tried_where_it_would_be_made(tmp_path: Path) -> None:
    check_folder(tmp_path / "new" / "deep")
    (tmp_path / "file").write_text("")
    for name in ("file", "file/deep"):
        with pytest.raises(ConfigError, match="choose another place"):
            check_folder(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_what_is_protected_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("dear to me")
    (tmp_path / "mine").chmod(0o400)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_files(tmp_path / "mine")
    tmp_path.chmod(0o500)
    with pytest.raises(ConfigError, match="cannot be written"):
        check_files(tmp_path / "new")


def test_a_result_that_cannot_be_written_any_more_is_kept_elsewhere_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse_to_replace(monkeypatch, tmp_path / "r.json")
    assert not save_text(tmp_path / "r.json", "dear to me")
    first, second = capsys.readouterr().err.splitlines()
    assert "r.json: cannot be written: No space left" in first
    assert Path(second.rpartition(" is in ")[2]).read_text() == "dear to me"
