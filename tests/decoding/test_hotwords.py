from pathlib import Path

import pytest
import torch

from asr.decoding.beam import BeamConfig, BeamDecoder
from asr.decoding.hotwords import Hotword, Phrases, with_hotwords
from asr.decoding.lexicon import phoneme_lexicon
from asr.errors import ConfigError
from tests.decoding.test_beam import TOKENS, WORDS, lm, said

__all__ = ["lm"]
SOUND = "T UW _ K AE T S _ AY _"


def read(lm: Path, *hotwords: Hotword, sound: str = SOUND) -> str:
    lexicon = with_hotwords(phoneme_lexicon(WORDS), hotwords)
    decoder = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig(), hotwords=hotwords)
    return decoder.decode(said(sound))[0].text


def test_a_hotword_wins_over_a_homophone(lm: Path) -> None:
    assert read(lm) == "two cats i"
    assert read(lm, Hotword("too cats", 8.0)) == "too cats i"


def test_a_phrase_that_breaks_off_changes_nothing(lm: Path) -> None:
    assert read(lm, Hotword("too sat", 8.0)) == "two cats i"


def test_a_hotword_that_the_model_has_never_seen_is_heard(lm: Path) -> None:
    assert read(lm, Hotword("eye", 8.0)) == "two cats eye"


def test_a_hotword_that_is_not_said_is_not_written(lm: Path) -> None:
    assert read(lm, Hotword("zebra", 5.0)) == "two cats i"


def test_scores_without_the_phrase_are_those_without_hotwords(lm: Path) -> None:
    lexicon, given = phoneme_lexicon(WORDS), said(SOUND)
    plain = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig())
    boosted = BeamDecoder(
        lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig(), hotwords=(Hotword("sat sat"), Hotword("cat sat"))
    )
    torch.testing.assert_close(boosted.decode(given)[0].score, plain.decode(given)[0].score)


@pytest.mark.parametrize(
    ("words", "total"),
    [((1, 2), 6.0), ((1, 3), 0.0), ((1, 1, 2), 6.0), ((1,), 0.0), ((1, 2, 3), 6.0), ((4, 1, 2), 6.0)],
)
def test_only_whole_phrases_are_worth_something_in_the_end(words: tuple[int, ...], total: float) -> None:
    phrases = Phrases({(1, 2): 6.0})
    heard: tuple[int, ...] = ()
    earned = 0.0
    for word in words:
        heard, reward = phrases.step(heard, word)
        earned += reward
    assert earned + phrases.finish(heard) == pytest.approx(total)


@pytest.mark.parametrize(("phrase", "boost"), [("", 5.0), ("two", 0.0), ("two", -1.0)])
def test_a_hotword_without_words_or_worth_is_refused(phrase: str, boost: float) -> None:
    with pytest.raises(ConfigError, match="hotwords"):
        Hotword(phrase, boost)


def test_a_word_that_nobody_can_pronounce_is_named() -> None:
    with pytest.raises(ConfigError, match="xqzt"):
        with_hotwords({}, [Hotword("xqzt")])
