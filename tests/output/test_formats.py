import json
import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.decoding.words import Alternative, Transcript, Utterance, Word
from asr.errors import ConfigError
from asr.output import formats, subtitles
from asr.output.formats import FORMATS, parse_formats

TEXT = st.text(st.characters(categories=["Ll", "Nd"], include_characters="'"), min_size=1, max_size=12)


@st.composite
def transcripts(draw: st.DrawFn) -> Transcript:
    """Words in order, with pauses, in utterances."""
    now, utterances = 0.0, []
    for _ in range(draw(st.integers(0, 4))):
        begin, words = now, []
        for text in draw(st.lists(TEXT, max_size=25)):
            now += draw(st.sampled_from([0.0, 0.1, 0.3, 0.9]))
            end = now + draw(st.sampled_from([0.04, 0.2, 0.6]))
            words.append(Word(text, now, end, draw(st.floats(0, 1))))
            now = end
        now += draw(st.floats(0.1, 3))
        utterances.append(Utterance(begin, now, tuple(words)))
    return Transcript("a talk.wav", now, tuple(utterances))


def words_in(text: str) -> list[str]:
    return text.split()


def cue_texts(text: str) -> list[str]:
    blocks = [block.split("\n") for block in text.removeprefix("WEBVTT\n\n").strip("\n").split("\n\n") if block]
    return [line for block in blocks for line in block[next(i for i, x in enumerate(block) if "-->" in x) + 1 :]]


@given(transcripts())
def test_every_word_comes_once_and_in_order_in_every_format(transcript: Transcript) -> None:
    expected = [word.text for word in transcript.words]
    assert words_in(formats.txt(transcript)) == expected
    loaded = json.loads(formats.as_json(transcript))
    assert [word["text"] for utterance in loaded["utterances"] for word in utterance["words"]] == expected
    assert words_in(loaded["text"]) == expected
    assert [line.split()[4] for line in formats.ctm(transcript).splitlines()] == expected
    assert words_in(" ".join(line.split("\t")[2] for line in formats.tsv(transcript).splitlines()[1:])) == expected
    for write in (subtitles.srt, subtitles.vtt):
        assert words_in(" ".join(cue_texts(write(transcript)))) == expected


@given(transcripts())
def test_subtitles_can_be_read_and_do_not_overlap(transcript: Transcript) -> None:
    cues = subtitles.cues(transcript)
    for cue in cues:
        assert cue.start_s <= cue.end_s
        assert 1 <= len(cue.lines) <= 2
        assert all(len(line) <= subtitles.LINE for line in cue.lines)
        assert cue.end_s - cue.start_s <= subtitles.LONGEST_S + subtitles.SHORTEST_S
    for one, following in pairwise(cues):
        assert one.end_s <= following.start_s + 1e-9


@given(transcripts())
def test_ctm_times_are_those_of_the_words(transcript: Transcript) -> None:
    for line, word in zip(formats.ctm(transcript).splitlines(), transcript.words, strict=True):
        name, channel, begin, duration, _, confidence = line.split()
        assert (name, channel) == ("a_talk.wav", "1")
        assert float(begin) == pytest.approx(word.start_s, abs=6e-4)
        assert float(duration) == pytest.approx(word.end_s - word.start_s, abs=1.1e-3)
        assert float(confidence) == pytest.approx(word.confidence, abs=6e-5)


def test_a_subtitle_looks_as_players_expect() -> None:
    words = tuple(
        Word(text, 3661.0 + i * 0.3, 3661.2 + i * 0.3, 0.9) for i, text in enumerate(["we", "go", "home", "now"])
    )
    transcript = Transcript("a", 4000.0, (Utterance(3660.0, 3670.0, words),))
    assert subtitles.srt(transcript) == "1\n01:01:01,000 --> 01:01:02,100\nwe go home now\n\n"
    assert subtitles.vtt(transcript) == "WEBVTT\n\n01:01:01.000 --> 01:01:02.100\nwe go home now\n\n"


def test_two_lines_are_about_as_long_as_each_other() -> None:
    upper, lower = subtitles.lines(
        ["the", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog", "and", "runs", "off"]
    )
    assert abs(len(upper) - len(lower)) <= 6


def test_alternatives_are_written_where_there_are_some() -> None:
    utterance = Utterance(0.0, 1.0, (Word("two", 0.1, 0.4, 0.5),), (Alternative("too", -3.25),))
    loaded = json.loads(formats.as_json(Transcript("a", 1.0, (utterance,))))
    assert loaded["utterances"][0]["alternatives"] == [{"text": "too", "score": -3.25}]
    assert loaded["version"] == formats.JSON_VERSION


def test_nothing_heard_is_an_empty_file_with_its_header() -> None:
    empty = Transcript("a", 1.0, (Utterance(0.0, 1.0, ()),))
    assert {name: write(empty) for name, write in FORMATS.items() if name != "json"} == {
        "txt": "",
        "srt": "",
        "vtt": "WEBVTT\n\n",
        "ctm": "",
        "tsv": "start_s\tend_s\ttext\n",
    }


def test_formats_are_chosen_by_name() -> None:
    assert parse_formats("srt, txt,srt") == ("srt", "txt")
    with pytest.raises(ConfigError, match=re.escape("txt, json, srt, vtt, ctm, tsv")):
        parse_formats("docx")
