"""Texts that grow with each utterance, piece by piece, are the whole transcript's."""

import json

import pytest

from asr.decoding.words import Transcript, Utterance, Word
from asr.errors import ConfigError
from asr.output import growing
from asr.output.formats import FORMATS, utterance_fields


def utterance(start_s: float, text: str) -> Utterance:
    words = tuple(Word(x, start_s + 0.4 * i, start_s + 0.4 * i + 0.3, 0.9) for i, x in enumerate(text.split()))
    return Utterance(start_s - 0.2, start_s + 0.4 * len(words) + 1.0, words)


SAID = (
    utterance(1.0, "so this is what was said at first and it goes on for more than one subtitle can hold " * 2),
    utterance(60.0, ""),
    utterance(70.0, "then a short one"),
)


def grown(name: str) -> str:
    growth, text = growing.begin(name, "talk")
    for x in SAID:
        growth, piece = growing.add(growth, x)
        text += piece
    return text


@pytest.mark.parametrize("name", sorted(set(growing.GROWING) & set(FORMATS)))
def test_pieces_joined_are_the_whole_transcript(name: str) -> None:
    assert grown(name) == FORMATS[name](Transcript("talk", 80.0, SAID))


def test_json_lines_are_an_utterance_each() -> None:
    lines = [json.loads(line) for line in grown("jsonl").splitlines()]
    assert lines == [{"name": "talk", **utterance_fields(x)} for x in SAID if x.words]


def test_a_subtitle_ends_with_its_utterance_for_the_next_may_begin_there() -> None:
    growth, _ = growing.begin("vtt", "talk")
    short = Utterance(0.0, 1.2, (Word("yes", 0.9, 1.1, 0.9),))
    assert growing.add(growth, short)[1].startswith("00:00:00.900 --> 00:00:01.200")


def test_an_unknown_format_is_an_error_that_names_those_there_are() -> None:
    with pytest.raises(ConfigError, match="txt, jsonl, srt"):
        growing.begin("doc", "talk")
