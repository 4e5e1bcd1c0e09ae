"""Sound that is kept beside the words."""

import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pipelines.live_sources import Saved
from tests.recordings import tone


@pytest.fixture
def full_at() -> Iterator[int]:
    """Files of this process hold so many bytes and no more, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield 100_000
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_sound_too_long_for_one_file_goes_on_in_the_next_free_one(tmp_path: Path) -> None:
    (tmp_path / "a-3.wav").write_text("somebody's")
    said = list[str]()
    saved = Saved(tmp_path / "a.wav", said.append, longest=10_000)
    for part in np.split(tone(2.0), 10):
        saved.add(part)
    saved.close()
    files = [tmp_path / name for name in ("a.wav", "a-2.wav", "a-4.wav", "a-5.wav")]
    parts = [soundfile.read(file, dtype="float32")[0] for file in files]
    assert [len(part) for part in parts] == [9_600, 9_600, 9_600, 3_200]
    np.testing.assert_allclose(np.concatenate(parts), tone(2.0), atol=1e-4)
    assert (tmp_path / "a-3.wav").read_text() == "somebody's"
    assert said == []


def test_a_full_disk_is_said_once_and_what_was_kept_before_is_whole(tmp_path: Path, full_at: int) -> None:
    said = list[str]()
    saved = Saved(tmp_path / "a.wav", said.append)
    for part in np.split(tone(10.0), 100):
        saved.add(part)
    saved.close()
    assert len(said) == 1
    assert "not kept" in said[0]
    kept, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert full_at / 2 - 2_000 < len(kept) < full_at / 2
    np.testing.assert_allclose(kept, tone(10.0)[: len(kept)], atol=1e-4)
