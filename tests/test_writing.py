from pathlib import Path

import pytest

from asr.errors import AsrError
from asr.writing import whole_folder


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for text in ("one", "two"):
        with whole_folder(tmp_path / "run") as new:
            (new / text).write_text(text)
    assert [x.name for x in (tmp_path / "run").iterdir()] == ["two"]
    assert [x.name for x in tmp_path.iterdir()] == ["run"]


def test_a_folder_whose_writing_fails_is_as_it_was_and_no_half_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "run") as new:
        (new / "weights").write_text("old")
    with (
        pytest.raises(AsrError, match=r"run: cannot be written: .*No such file"),
        whole_folder(tmp_path / "run") as new,
    ):
        (new / "absent" / "weights").write_text("new")
    assert (tmp_path / "run" / "weights").read_text() == "old"
    assert [x.name for x in tmp_path.iterdir()] == ["run"]
