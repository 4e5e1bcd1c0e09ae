import itertools
from math import log
from pathlib import Path

import pytest
import torch

from asr.errors import CheckpointError
from asr.model.phonemes import PHONEMES, dictionary
from asr.model.pronouncer import (
    PACKAGED,
    Pronouncer,
    PronouncerConfig,
    best_prefixes,
    guess,
    load_pronouncer,
    pronounce,
    pronounce_text,
    save_pronouncer,
)
from asr.model.units import ListedUnits
from asr.training.pronouncing import PronouncerTraining, score_pronouncer, split_dictionary, train_pronouncer


def test_the_search_finds_the_sequences_whose_paths_sum_to_most() -> None:
    log_probs = torch.randn(5, 4).log_softmax(-1)
    sums: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(4), repeat=5):
        ids = tuple(k for k, _ in itertools.groupby(path) if k)
        sums[ids] = sums.get(ids, 0.0) + float(log_probs[range(5), list(path)].sum().exp())
    expected = sorted(((log(p), ids) for ids, p in sums.items()), reverse=True)
    found = best_prefixes(log_probs, width=1000)
    assert [ids for ids, _ in found] == [ids for _, ids in expected]
    torch.testing.assert_close(torch.tensor([p for _, p in found]), torch.tensor([p for p, _ in expected]))


def test_a_word_is_said_alike_alone_and_in_company() -> None:
    model = Pronouncer(PronouncerConfig(embedding=8, hidden=12)).eval()
    words = ["a", "straightforwardness", "", "o'clock", "tea", "42"]
    together = guess(model, words, most=3)
    alone = [guess(model, [word], most=3)[0] for word in words]
    assert together[2] == together[5] == []
    assert [[said for said, _ in x] for x in together] == [[said for said, _ in x] for x in alone]


def test_a_network_learns_words_by_heart_and_comes_back_from_eight_bits(tmp_path: Path) -> None:
    words = {word: dictionary()[word][:1] for word in ("cat", "box", "thing", "ocean", "queue", "knight", "rough")}
    shape = PronouncerConfig(embedding=16, hidden=32, layers=1, dropout=0.0)
    config = PronouncerTraining(model=shape, epochs=120, batch=8, rate=2e-2)
    model = train_pronouncer(config, words, lambda *_: None)
    save_pronouncer(model, tmp_path / "model.safetensors")
    scores = score_pronouncer(load_pronouncer(tmp_path / "model.safetensors"), words)
    assert (scores.words, scores.word_errors, scores.phoneme_errors) == (7, 0, 0)
    (tmp_path / "model.safetensors").write_bytes(b"nonsense")
    with pytest.raises(CheckpointError, match="grapheme-to-phoneme"):
        load_pronouncer(tmp_path / "model.safetensors")


def test_dictionary_and_rules_come_before_the_network() -> None:
    assert pronounce("Read") == dictionary()["read"]
    assert pronounce("endeavoured") == (("IH", "N", "D", "EH", "V", "ER", "D"),)
    assert pronounce("42") == ()
    made_up = pronounce("blorfimantz", most=3)
    assert 1 <= len(made_up) <= 3
    assert made_up[0][:2] == ("B", "L")
    assert set(made_up[0]) <= set(PHONEMES)


def test_the_model_in_the_package_reads_words_that_it_has_not_seen() -> None:
    _, held = split_dictionary()
    some = dict(list(held.items())[::20])
    assert PACKAGED.stat().st_size <= 600_000
    assert score_pronouncer(load_pronouncer(), some).phoneme_errors < 15


def test_every_text_of_letters_has_its_phonemes_as_a_target_and_others_have_none() -> None:
    units = ListedUnits.phonemes()
    read = pronounce_text("the quivered hellas")
    assert read == (*dictionary()["the"][0], "K", "W", "IH", "V", "ER", "D", "HH", "EH", "L", "AH", "Z")
    assert units.decode(units.encode("the quivered hellas") or []) == " ".join(read)
    for odd in ("route 42", "3d", "c++", "北京", "'"):
        assert units.encode(odd) is None
