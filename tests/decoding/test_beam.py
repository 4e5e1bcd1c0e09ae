import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from asr.decoding.beam import BeamConfig, BeamDecoder
from asr.decoding.decoder import LANGUAGE_MODEL, LEXICON, RECURRENT, SETTINGS, BeamReader, GreedyReader, make_decoder
from asr.decoding.hotwords import Hotword
from asr.decoding.hypotheses import HeardWord, Hypothesis
from asr.decoding.lexicon import Lexicon, load_lexicon, phoneme_lexicon, save_lexicon, subword_lexicon
from asr.decoding.rescoring import log_likelihoods, rescore, rescore_by
from asr.errors import CheckpointError, ConfigError
from asr.features.spectral import FeatureConfig
from asr.lm.automaton import load_ngrams
from asr.lm.recurrent import LanguageModel, RecurrentLM, RecurrentLMConfig, save_language_model
from asr.model.bundle import Bundle, load_bundle, save_bundle
from asr.model.phonemes import PHONEMES
from asr.model.units import BLANK, ListedUnits, SubwordUnits
from tests.conftest import small_model, small_units

TOKENS = (BLANK, *PHONEMES)
WORDS = ["two", "too", "cats", "cat", "sat", "i"]
ARPA = """\\data\\
ngram 1=9
ngram 2=3

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.3
-1.0\t</s>\t0
-0.9\ttwo\t-0.3
-1.0\ttoo\t-0.3
-1.0\tcats\t-0.3
-1.0\tcat\t-0.3
-1.0\tsat\t-0.3
-1.0\ti\t-0.3

\\2-grams:
-0.1\ttwo cats
-0.1\ti too
-0.2\tcat sat

\\end\\
"""


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


def decoder(lm: Path, lexicon: Lexicon | None = None, **changes: object) -> BeamDecoder:
    config = replace(BeamConfig(), **changes)  # type: ignore[arg-type]
    return BeamDecoder(lexicon=lexicon or phoneme_lexicon(WORDS), tokens=TOKENS, lm=lm, config=config)


def said(phonemes: str, sureness: float = 6.0) -> torch.Tensor:
    """Each phoneme (or "_" for blank) one frame: (T', V)."""
    ids = [0 if p == "_" else TOKENS.index(p) for p in phonemes.split()]
    return (torch.nn.functional.one_hot(torch.tensor(ids), len(TOKENS)) * sureness).log_softmax(-1)


def test_it_writes_the_words_that_were_said_with_their_times(lm: Path) -> None:
    best = decoder(lm).decode(said("_ K AE AE T _ _ S AE AE T _"))[0]
    assert best.text == "cat sat"
    assert [(word.start, word.end) for word in best.words] == [(1, 5), (7, 11)]
    assert all(0.5 < word.confidence <= 1 for word in best.words)


def test_the_language_model_chooses_among_words_that_sound_alike(lm: Path) -> None:
    assert decoder(lm).decode(said("T UW _ K AE T S"))[0].text == "two cats"
    assert decoder(lm).decode(said("AY _ T UW"))[0].text == "i too"


def test_a_faint_word_that_the_blank_would_swallow_is_heard_once_the_blank_is_weighed_by_its_prior(lm: Path) -> None:
    faint = said("S AE AE T")
    faint[:, 0] = faint.amax(-1) + 0.5  # in each frame the blank is a little likelier
    faint = faint.log_softmax(-1)
    priors = (-0.1, *[-5.0] * len(PHONEMES))
    assert not decoder(lm).decode(faint)[0].text
    weighed = decoder(lm, prior_weight=0.5, log_priors=priors)
    assert weighed.decode(faint)[0].text == "sat"
    assert decoder(lm, prior_weight=0.0, log_priors=priors).decode(faint) == decoder(lm).decode(faint)


def test_priors_of_another_head_are_an_error_that_says_how_many_are_needed(lm: Path) -> None:
    with pytest.raises(ConfigError, match=f"expected {len(TOKENS)} log_priors, one for each token, got 3"):
        decoder(lm, prior_weight=0.5, log_priors=(-1.0, -2.0, -3.0))
    with pytest.raises(ConfigError, match="needs log_priors"):
        BeamConfig(prior_weight=0.5)


def test_a_repeated_phoneme_needs_a_blank_between(lm: Path) -> None:
    assert decoder(lm).decode(said("K AE T T S"))[0].text == "cats"


def test_other_readings_differ_and_come_in_order_of_score(lm: Path) -> None:
    readings = decoder(lm, alternatives=3).decode(said("T UW", 3.0))
    assert readings[0].text == "two"
    assert "too" in {reading.text for reading in readings}
    assert len({reading.text for reading in readings}) == len(readings) <= 4
    assert [x.score for x in readings] == sorted((x.score for x in readings), reverse=True)


def test_no_frames_and_only_blanks_are_no_words(lm: Path) -> None:
    assert decoder(lm).decode(torch.zeros(0, len(TOKENS)))[0].text == ""
    assert decoder(lm).decode(said("_ _ _ _"))[0].words == ()


def test_threads_that_share_a_decoder_get_what_one_gets_alone(lm: Path) -> None:
    texts = ["T UW _ K AE T S", "AY _ T UW", "K AE T _ S AE T"] * 20
    spoken = [(said(text) + 0.1 * torch.randn(len(text.split()), len(TOKENS))).log_softmax(-1) for text in texts]
    shared = decoder(lm)
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(shared.decode, spoken))
    alone = decoder(lm)
    assert together == [alone.decode(x) for x in spoken]


def test_a_lexicon_comes_back_as_it_was_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    lexicon = phoneme_lexicon(["read", "cat", "zzyzx"])
    assert set(lexicon) == {"read", "cat"}
    assert len(lexicon["read"]) == 2
    save_lexicon(lexicon, tmp_path / "lexicon.txt.gz")
    assert load_lexicon(tmp_path / "lexicon.txt.gz") == lexicon
    (tmp_path / "lexicon.txt.gz").write_bytes(b"read R EH D\n")
    with pytest.raises(CheckpointError, match="gzipped lexicon"):
        load_lexicon(tmp_path / "lexicon.txt.gz")


def test_subwords_spell_words_too(lm: Path) -> None:
    units = SubwordUnits.train(["two cats sat", "i too cat"] * 20, 24)
    lexicon = subword_lexicon(WORDS, units)
    ids = units.encode("two cats")
    assert ids is not None
    frames = [i for k in ids for i in (k, 0)]
    log_probs = (torch.nn.functional.one_hot(torch.tensor(frames), len(units.tokens)) * 9.0).log_softmax(-1)
    search = BeamDecoder(lexicon=lexicon, tokens=units.tokens, lm=lm, config=BeamConfig())
    assert search.decode(log_probs)[0].text == "two cats"


def test_a_lexicon_of_other_tokens_and_a_missing_language_model_are_errors(lm: Path) -> None:
    with pytest.raises(CheckpointError, match="for this model"):
        decoder(lm, {"cat": (("▁cat",),)})
    with pytest.raises(CheckpointError, match=r"absent\.bin"):
        decoder(lm.with_name("absent.bin"))


def bundle_of(folder: Path, lm: Path, settings: dict[str, Any]) -> Bundle:
    """A small model with a lexicon, a language model and these settings."""
    save_lexicon(phoneme_lexicon(WORDS), folder / LEXICON)
    (folder / SETTINGS).write_text(yaml.safe_dump(settings))
    (folder / LANGUAGE_MODEL).write_text(lm.read_text())
    attachments = {name: folder / name for name in (SETTINGS, LEXICON, LANGUAGE_MODEL)}
    return Bundle(small_model(), FeatureConfig(), small_units(), attachments=attachments)


def test_a_model_brings_its_decoder_along(tmp_path: Path, lm: Path) -> None:
    save_bundle(bundle_of(tmp_path, lm, {"lm_weight": 1.25}), tmp_path / "model")
    bundle = load_bundle(tmp_path / "model")
    reader = make_decoder(bundle, "auto")
    assert isinstance(reader, BeamReader)
    assert (reader.heads, reader.search.config.lm_weight) == (("phoneme",), 1.25)
    words, _ = reader.read({"phoneme": said("_ K AE T")}, frame_s=0.04, end_s=0.16)
    assert [(word.text, word.start_s, word.end_s) for word in words] == [("cat", 0.04, 0.16)]
    assert isinstance(make_decoder(bundle, "greedy"), GreedyReader)
    (tmp_path / "model" / LANGUAGE_MODEL).write_text(ARPA.replace("-0.9", "-0.8"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_bundle(tmp_path / "model")


def test_a_model_that_asks_for_a_recurrent_language_model_without_bringing_it_is_an_error(
    tmp_path: Path, lm: Path
) -> None:
    bundle = bundle_of(tmp_path, lm, {"recurrent_weight": 0.3})
    with pytest.raises(CheckpointError, match=r"recurrent\.safetensors"):
        BeamReader(bundle)


def test_margins_count_from_the_best_reading_without_a_hotword(tmp_path: Path, lm: Path) -> None:
    bundle = bundle_of(tmp_path, lm, {})
    readings = [Hypothesis(_words("cats"), -1.0), Hypothesis(_words("two"), -6.0), Hypothesis(_words("too"), -7.0)]
    assert BeamReader(bundle)._from_best(4.0, readings) == 4.0
    boosted = BeamReader(bundle, (Hotword("cats", 5.0),))
    assert boosted._from_best(4.0, readings) == 9.0
    assert boosted._from_best(4.0, readings[1:]) == 4.0
    assert boosted._from_best(4.0, readings[:1]) == 4.0


def test_a_second_head_has_its_say_on_the_best_readings() -> None:
    units = ListedUnits.characters(["two too cats"])
    hypotheses = [Hypothesis(_words("two"), -1.0), Hypothesis(_words("too"), -2.0)]
    ids = units.encode("too")
    assert ids is not None
    frames = [ids[0], ids[1], 0, ids[2]]
    log_probs = (torch.nn.functional.one_hot(torch.tensor(frames), len(units.tokens)) * 5.0).log_softmax(-1)
    assert [x.text for x in rescore(hypotheses, log_probs, units, 1.0)] == ["too", "two"]
    assert [x.text for x in rescore(hypotheses, log_probs, units, 0.01)] == ["two", "too"]
    assert rescore(hypotheses[:1], log_probs, units, 1.0) == hypotheses[:1]
    assert [x.text for x in rescore(hypotheses, log_probs, units, 1.0, margin=1.5)] == ["too", "two"]
    assert [x.text for x in rescore(hypotheses, log_probs, units, 1.0, margin=0.5)] == ["two", "too"]


def test_readings_that_were_not_asked_about_stay_behind_those_that_were() -> None:
    near = [Hypothesis(_words("two"), -1.0), Hypothesis(_words("too"), -2.0)]
    far = [Hypothesis(_words("cats"), -9.0)]
    judged = rescore_by(
        lambda texts: torch.tensor([-30.0 if x == "two" else -20.0 for x in texts]), near + far, 1.0, 5.0
    )
    assert [(x.text, x.score) for x in judged] == [("too", -22.0), ("two", -31.0), ("cats", -39.0)]
    judged = rescore_by(lambda texts: torch.tensor([0.0 if x == "two" else -9.5 for x in texts]), near + far, 1.0, 5.0)
    assert [x.text for x in judged] == ["two", "too", "cats"]


def test_the_recurrent_model_takes_over_from_the_n_grams_when_finals_have_their_own_weights(
    tmp_path: Path, lm: Path
) -> None:
    texts = ["two cats", "too", "cat sat i"]
    units = SubwordUnits.train(texts * 20, 20)
    model = LanguageModel(RecurrentLM(RecurrentLMConfig(embedding=8, hidden=12), len(units.tokens)).eval(), units)
    save_language_model(model, tmp_path / RECURRENT)
    heard = {"phoneme": said("T UW _ K AE T S", 2.0)}

    def readings(**settings: float) -> dict[str, float]:
        bundle = bundle_of(tmp_path, lm, {"lm_weight": 2.0, "word_score": 0.5, "recurrent_margin": 99.0} | settings)
        bundle = replace(bundle, attachments=bundle.attachments | {RECURRENT: tmp_path / RECURRENT})
        return {x.text: x.score for x in BeamReader(bundle).readings(heard)}

    before = readings(recurrent_weight=0.6)
    after = readings(recurrent_weight=0.6, final_lm_weight=0.5, final_word_score=-1.0)
    ngrams = load_ngrams(lm)
    assert len(before) > 3
    for text, score in before.items():
        words = text.split()
        changed = -1.5 * sum(ngrams.score(words)) - 1.5 * len(words)
        assert after[text] == pytest.approx(score + changed, abs=1e-4)
    alone = {"final_lm_weight": 0.5, "final_word_score": -1.0}
    assert readings(**alone) == readings()  # without a recurrent model the n-grams keep their weight


@pytest.mark.parametrize("margin", ["second_margin", "recurrent_margin"])
@pytest.mark.parametrize("value", [-1.0, float("nan")])
def test_a_margin_below_nothing_is_refused(margin: str, value: float) -> None:
    with pytest.raises(ConfigError, match=margin):
        BeamConfig(**{margin: value})


def test_a_readings_likelihood_is_the_sum_over_all_its_paths() -> None:
    units = ListedUnits([BLANK, "▁a", "b"])
    log_probs = torch.randn(4, 3).log_softmax(-1)
    paths = itertools.product(range(3), repeat=4)
    sums: dict[str, float] = {}
    for path in paths:
        text = units.decode([k for k, _ in itertools.groupby(path)])
        sums[text] = sums.get(text, 0.0) + float(log_probs[range(4), list(path)].sum().exp())
    expected = torch.tensor([sums["a"], sums["ab"]], dtype=torch.float64).log()
    torch.testing.assert_close(log_likelihoods(["a", "ab"], log_probs, units), expected, rtol=1e-4, atol=1e-4)
    assert log_likelihoods(["c"], log_probs, units)[0] == -torch.inf


def _words(text: str) -> tuple[HeardWord, ...]:
    return tuple(HeardWord(word, 0, 1, 0.5) for word in text.split())


def test_a_model_without_language_model_decodes_greedily_and_says_so_when_asked_for_more() -> None:
    bundle = Bundle(small_model(), FeatureConfig(), small_units())
    assert isinstance(make_decoder(bundle, "auto"), GreedyReader)
    with pytest.raises(ConfigError, match=r"ngrams\.npz missing"):
        make_decoder(bundle, "beam")
    with pytest.raises(ConfigError, match="auto, greedy or beam"):
        make_decoder(bundle, "best")
