"""What each normaliser makes the same, and what it leaves apart."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asr.errors import ConfigError
from asr.evaluation.normalise import NORMALISERS, choose_normaliser, read_rules


def test_none_changes_spaces_only() -> None:
    assert choose_normaliser("none")("  He  said: “No.”\n") == "He said: “No.”"


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("Hello, World!", "hello world"),
        ("a well-known man\u2019s hat", "a well known man's hat"),
        ("'quoted' dogs' bones", "quoted dogs bones"),
        ("Straße déjà vu", "straße déjà vu"),
        ("one\u00a0two … three_four", "one two three four"),
        ("it\u00b4s co\u00adoperation", "it's cooperation"),
        ("", ""),
    ],
)
def test_basic_keeps_words_and_drops_the_rest(written: str, expected: str) -> None:
    assert choose_normaliser("basic")(written) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("I won't, I can't, they've gone", "i will not i can not they have gone"),
        ("Mr. Smith's colour", "mister smith's color"),
        ("um, so uh it is", "so it is"),
        ("in 1984", "in nineteen eighty-four"),
        ("the 1920s", "the nineteen twenties"),
        ("the 1900s, the 2000s, the 2010s", "the nineteen hundreds, the two thousands, the twenty tens"),
        ("the 3rd of 21", "the third of twenty one"),
        ("1,205 men", "one thousand two hundred five men"),
        ("it cost $5.50", "it cost five point five dollars"),
        ("£2 million", "two million pounds"),
        ("$1 a day, $1 million", "one dollar a day, one million dollars"),
        ("1,2,3 in 1999,2000", "one two three in nineteen ninety nine two thousand"),
        ("10am, 20mph", "ten am, twenty mph"),
        ("5 per cent", "5%"),
        ("at 10:30", "at ten thirty"),
        ("50% & rising", "fifty percent and rising"),
        ("the a4 road", "the a four road"),
        ("he organised the theatre", "he organized the theater"),
        ("so [laughter] funny", "so funny"),
        ("café", "cafe"),
    ],
)
def test_english_makes_two_ways_of_writing_the_same_words_one(one: str, other: str) -> None:
    normalise = choose_normaliser("english")
    assert normalise(one) == normalise(other)


@pytest.mark.parametrize(("one", "other"), [("their", "there"), ("five", "nine"), ("can", "can't"), ("dog's", "dogs")])
def test_english_leaves_other_words_apart(one: str, other: str) -> None:
    normalise = choose_normaliser("english")
    assert normalise(one) != normalise(other)


@pytest.mark.parametrize("name", NORMALISERS)
@given(text=st.text(alphabet="abcdefghij '.,-19é$%\n", max_size=40))
def test_no_normaliser_leaves_double_spaces_and_none_fails(name: str, text: str) -> None:
    result = choose_normaliser(name)(text)
    assert result == " ".join(result.split())


def test_more_digits_than_a_number_has_are_said_one_by_one() -> None:
    assert choose_normaliser("english")("10" * 200) == " ".join(["one zero"] * 200)


@given(st.lists(st.sampled_from(["the", "man's", "hat", "is", "red", "and", "can", "not"])).map(" ".join))
def test_basic_does_nothing_the_second_time(text: str) -> None:
    normalise = choose_normaliser("basic")
    assert normalise(normalise(text)) == normalise(text)


def test_rules_of_a_user_come_first_and_name_the_line_where_they_are_wrong(tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"
    path.write_text("# ours\nnorth wind => northwind # one word\n/\\bcolou?rs\\b/ => hues\n", encoding="utf-8")
    normalise = choose_normaliser("basic", read_rules(path))
    assert normalise("The North Wind, colours; northwinds.") == "the northwind hues northwinds"
    path.write_text("fine => ok\nno arrow here\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=f"{path}:2"):
        read_rules(path)
    path.write_text("/(/ => x\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="no regular expression"):
        read_rules(path)


def test_an_unknown_name_says_which_there_are() -> None:
    with pytest.raises(ConfigError, match="none, basic, english, whisper"):
        choose_normaliser("german")


def test_a_mark_before_the_first_rule_is_not_of_it(tmp_path: Path) -> None:
    (tmp_path / "rules.txt").write_bytes(b"\xef\xbb\xbfgrey => gray\r\n")
    assert choose_normaliser("basic", read_rules(tmp_path / "rules.txt"))("a grey cat") == "a gray cat"
