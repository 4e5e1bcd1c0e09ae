import re
from pathlib import Path

import pytest
import torch

from asr.decoding.beam import BeamConfig, BeamDecoder
from asr.decoding.hotwords import Hotword, parse_hotwords, with_hotwords
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
    assert read(lm, Hotword("katz", 8.0)) == "two katz i"


def test_a_word_of_one_phoneme_is_too_short_to_be_a_hotword(lm: Path) -> None:
    with pytest.raises(ConfigError, match="one phoneme"):
        read(lm, Hotword("eye"))


def test_a_hotword_that_is_not_said_is_not_written(lm: Path) -> None:
    assert read(lm, Hotword("zebra", 5.0)) == "two cats i"


def test_scores_without_the_phrase_are_those_without_hotwords(lm: Path) -> None:
    lexicon, given = phoneme_lexicon(WORDS), said(SOUND)
    plain = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig())
    boosted = BeamDecoder(
        lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig(), hotwords=(Hotword("sat sat"), Hotword("cat sat"))
    )
    torch.testing.assert_close(boosted.decode(given)[0].score, plain.decode(given)[0].score)


@pytest.mark.parametrize("seed", range(8))
def test_a_phrase_that_comes_to_nothing_neither_widens_nor_narrows_the_search(seed: int, lm: Path) -> None:
    given = (4 * torch.randn(40, len(TOKENS), generator=torch.Generator().manual_seed(seed))).log_softmax(-1)
    lexicon, narrow = phoneme_lexicon(WORDS), BeamConfig(beam_threshold=6.0)
    plain = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=narrow)
    expected = plain.decode(given)[0]
    long = (Hotword("sat two cats sat two cats", 10.0), Hotword("cats sat i two sat cats", 12.0))
    boosted = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=narrow, hotwords=long)
    found = boosted.decode(given)[0]
    assert (found.text, found.score) == (expected.text, pytest.approx(expected.score))


def test_a_boost_counts_once_however_long_its_first_phoneme_lasts(lm: Path) -> None:
    lexicon = phoneme_lexicon(WORDS)
    plain = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig())
    boosted = BeamDecoder(lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig(), hotwords=(Hotword("cats", 6.0),))
    for sound in ("K AE T S", "_ K K AE T S", "K K K AE T S _ _", "T UW _ _ K K K K AE AE T T S"):
        given = said(sound)
        best = boosted.decode(given)[0]
        assert best.score - plain.decode(given)[0].score == pytest.approx(6.0, abs=1e-3)
        assert best.words == plain.decode(given)[0].words


def test_the_words_of_a_phrase_have_their_own_times(lm: Path) -> None:
    lexicon = phoneme_lexicon(WORDS)
    search = BeamDecoder(
        lexicon=lexicon, tokens=TOKENS, lm=lm, config=BeamConfig(), hotwords=(Hotword("too cats i", 30.0),)
    )
    words = search.decode(said("_ T T UW _ K AE AE T S _ AY _"))[0].words
    assert [(word.text, word.start, word.end) for word in words] == [("too", 1, 4), ("cats", 5, 10), ("i", 11, 12)]
    assert all(0.8 < word.confidence <= 1 for word in words)


def test_hotwords_are_read_with_their_boosts_in_any_case() -> None:
    assert parse_hotwords(["New  York=8", "kubernetes"]) == (Hotword("new york", 8.0), Hotword("kubernetes", 7.0))
    with pytest.raises(ConfigError, match="PHRASE=BOOST"):
        parse_hotwords(["new york=much"])


@pytest.mark.parametrize(("phrase", "boost"), [("", 5.0), ("two", 0.0), ("two", -1.0)])
def test_a_hotword_without_words_or_worth_is_refused(phrase: str, boost: float) -> None:
    with pytest.raises(ConfigError, match="hotwords"):
        Hotword(phrase, boost)


def test_any_word_with_letters_can_be_a_hotword_and_others_are_named() -> None:
    assert set(with_hotwords({}, [Hotword("blorfimantz tea")])) == {"blorfimantz", "tea"}
    assert set(with_hotwords({}, [Hotword("d’Artaguil-Ménin st.")])) == {"d’Artaguil-Ménin", "st."}
    for odd in ("42", "3d", "mp3", "c++", "at&t", "北京"):
        with pytest.raises(ConfigError, match=re.escape(odd)):
            with_hotwords({}, [Hotword(f"route {odd}")])
