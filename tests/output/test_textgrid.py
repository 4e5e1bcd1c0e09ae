"""Laws of TextGrid files."""

import pytest

from asr.errors import ManifestError
from asr.output.textgrid import Interval, parse_textgrid, textgrid

WORDS = (Interval('say "hi"', 0.5, 0.9), Interval("now", 0.9, 1.2), Interval("é", 2.0, 2.5))
TOKENS = (Interval("▁say", 0.5, 0.6), Interval("<x>", 0.7, 0.74))


def test_what_was_written_is_read_back() -> None:
    assert parse_textgrid(textgrid({"words": WORDS, "tokens": TOKENS}, 3.0)) == {"words": WORDS, "tokens": TOKENS}
    assert parse_textgrid(textgrid({"words": ()}, 3.0)) == {"words": ()}


def test_intervals_cover_the_recording_without_gap_or_overlap() -> None:
    text = textgrid({"words": (Interval("a", 0.1, 0.8), Interval("b", 0.5, 1.0))}, 1.5)
    borders = [float(line.split("=")[1]) for line in text.splitlines() if line.startswith("            x")]
    assert borders == [0.0, 0.1, 0.1, 0.5, 0.5, 1.0, 1.0, 1.5]


def test_another_file_is_refused_by_name() -> None:
    with pytest.raises(ManifestError, match=r"x\.TextGrid"):
        parse_textgrid("hello", name="x.TextGrid")
