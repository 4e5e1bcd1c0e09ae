"""The compiled search against one that tries everything, and against itself in pieces."""

import dataclasses
import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from asr.decoding.beam import BeamConfig, BeamDecoder, BeamSearch, Width
from asr.decoding.hotwords import Hotword
from asr.decoding.lexicon import Lexicon
from asr.decoding.trie import build_trie, spelled
from asr.lm.automaton import read_arpa

TOKENS = ("<blank>", "a", "b")
LEXICON: Lexicon = {"ab": (("a", "b"),), "a": (("a",),), "ba": (("b", "a"), ("b", "b")), "bee": (("b",),)}
ARPA = """\\data\\
ngram 1=7
ngram 2=4

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.2
-0.9\t</s>\t0
-0.6\tab\t-0.3
-0.8\ta\t-0.1
-0.7\tba\t-0.2
-1.1\tbee\t0

\\2-grams:
-0.2\ta ba
-0.3\t<s> a
-0.4\tab </s>
-0.5\tba a

\\end\\
"""

CONFIG = BeamConfig(
    beam_size=100_000,
    beam_size_token=3,
    beam_threshold=1000.0,
    lm_weight=0.7,
    word_score=-0.4,
    sure_blank=1.0,
    alternatives=100,
    rescored=100,
)


@pytest.fixture
def lm(tmp_path: Path) -> Path:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return tmp_path / "lm.arpa"


def readings_by_hand(log_probs: torch.Tensor, lm: Path) -> dict[str, float]:
    """Every path of CTC, every way to cut its tokens into words: the best score of each text."""
    model = read_arpa(lm)
    ways = {spelling: word for word, spellings in LEXICON.items() for spelling in spellings}
    assert len(ways) == sum(map(len, LEXICON.values()))
    acoustic: dict[tuple[int, ...], float] = {}
    for path in itertools.product(range(len(TOKENS)), repeat=len(log_probs)):
        tokens = tuple(k for k, _ in itertools.groupby(path) if k)
        score = float(log_probs[range(len(path)), list(path)].sum())
        acoustic[tokens] = max(acoustic.get(tokens, -np.inf), score)
    best: dict[str, float] = {}
    for tokens, score in acoustic.items():
        for words in _cut([TOKENS[k] for k in tokens], ways):
            total = score + CONFIG.lm_weight * sum(model.score(words)) + CONFIG.word_score * len(words)
            text = " ".join(words)
            best[text] = max(best.get(text, -np.inf), total)
    return best


def _cut(tokens: list[str], ways: dict[tuple[str, ...], str]) -> list[list[str]]:
    if not tokens:
        return [[]]
    found = []
    for n in range(1, len(tokens) + 1):
        if word := ways.get(tuple(tokens[:n])):
            found += [[word, *rest] for rest in _cut(tokens[n:], ways)]
    return found


def decoder(lm: Path, config: BeamConfig = CONFIG, **changes: object) -> BeamDecoder:
    return BeamDecoder(lexicon=LEXICON, tokens=TOKENS, lm=lm, config=config, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", range(6))
def test_a_search_without_bounds_finds_what_trying_everything_finds(seed: int, lm: Path) -> None:
    torch.manual_seed(seed)
    log_probs = (2 * torch.randn(6, len(TOKENS))).log_softmax(-1)
    expected = readings_by_hand(log_probs, lm)
    found = {x.text: x.score for x in decoder(lm).decode(log_probs)}
    best = max(expected, key=lambda text: expected[text])
    assert next(iter(found)) == best
    assert found[best] == pytest.approx(expected[best], abs=1e-4)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_the_other_readings_are_those_that_trying_everything_finds_next(lm: Path) -> None:
    wanted = met = 0
    for seed in range(10):
        torch.manual_seed(seed)
        log_probs = (2 * torch.randn(6, len(TOKENS))).log_softmax(-1)
        expected = readings_by_hand(log_probs, lm)
        found = {x.text: x.score for x in decoder(lm).decode(log_probs)}
        for text, score in found.items():  # a path of these words, though not always the best of them
            assert score <= expected[text] + 1e-4
        first = sorted(expected, key=lambda text: -expected[text])[:20]
        wanted, met = wanted + len(first), met + len(set(first) & set(found))
    assert met > 0.85 * wanted  # what meets another of the same words in another place may be forgotten


@pytest.mark.parametrize("width", [None, Width(3, 2, 5.0), Width(1, 1, 1.0)])
def test_how_frames_are_dealt_out_changes_nothing(width: Width | None, lm: Path) -> None:
    log_probs = (2 * torch.randn(40, len(TOKENS))).log_softmax(-1)
    shared = decoder(lm, hotwords=(Hotword("a ba", 3.0),))
    whole = BeamSearch(shared, width)
    whole.feed(log_probs)
    pieces = BeamSearch(shared, width)
    for piece in (log_probs[:1], log_probs[1:1], log_probs[1:17], log_probs[17:]):
        pieces.feed(piece)
        pieces.so_far()
    assert pieces.finish() == whole.finish()


@pytest.mark.parametrize("word_score", [-0.4, 1.5])
def test_tokens_that_are_passed_over_would_not_have_got_into_the_beam(word_score: float, lm: Path) -> None:
    config = dataclasses.replace(CONFIG, word_score=word_score)
    shared, patient = (decoder(lm, config, hotwords=(Hotword("a ba", 3.0),)) for _ in range(2))
    patient._fixed = patient._fixed._replace(best_label_score=1e9)  # any word could still make up for anything
    for width in (Width(4, 3, 3.0), Width(100, 3, 1.0), Width(100, 3, 4.0)):
        for seed in range(5):
            torch.manual_seed(seed)
            log_probs = (3 * torch.randn(40, len(TOKENS))).log_softmax(-1)
            swift, slow = BeamSearch(shared, width), BeamSearch(patient, width)
            swift.feed(log_probs)
            slow.feed(log_probs)
            assert swift.finish() == slow.finish()


def test_what_all_readings_share_is_what_each_later_one_begins_with(lm: Path) -> None:
    search = BeamSearch(decoder(lm), Width(20, 3, 8.0))
    log_probs = (3 * torch.randn(60, len(TOKENS))).log_softmax(-1)
    stable: list[str] = []
    for frame in log_probs:
        search.feed(frame[None])
        reading, count = search.so_far()
        words = reading.text.split()
        assert words[: len(stable)] == stable
        stable = words[:count]
    assert search.finish()[0].text.split()[: len(stable)] == stable
    assert stable


def test_a_likely_word_that_has_been_said_is_shown_though_a_likelier_one_may_yet_come_of_it(tmp_path: Path) -> None:
    grams = ARPA.replace("-0.8\ta\t-0.1", "-0.3\ta\t-0.1").replace("-0.6\tab", "-0.9\tab").replace("2=4", "2=5")
    (tmp_path / "lm.arpa").write_text(grams.replace("-0.3\t<s> a\n", "-0.2\t<s> a\n-0.1\t<s> ab\n"))
    search = BeamSearch(decoder(tmp_path / "lm.arpa", dataclasses.replace(CONFIG, word_score=0.0)))
    search.feed(torch.tensor([[0.01, 0.98, 0.01], [0.98, 0.01, 0.01]]).log())
    assert search.so_far()[0].text == "a"


def test_words_follow_each_other_in_time_and_cover_only_what_sounds(lm: Path) -> None:
    log_probs = (3 * torch.randn(50, len(TOKENS))).log_softmax(-1)
    for reading in decoder(lm).decode(log_probs)[:20]:
        times = [time for word in reading.words for time in (word.start, word.end)]
        assert times == sorted(times)
        assert all(word.end > word.start for word in reading.words)


def test_a_wider_search_is_never_worse(lm: Path) -> None:
    for seed in range(5):
        torch.manual_seed(seed)
        log_probs = torch.randn(30, len(TOKENS)).log_softmax(-1)
        scores = []
        for size in (1, 4, 16, 1000):
            search = BeamSearch(decoder(lm), Width(size, 3, 1000.0))
            search.feed(log_probs)
            scores.append(search.finish()[0].score)
        assert scores[-1] == max(scores)


def test_a_tree_gives_each_spelling_its_labels_and_hopes_for_the_best_below() -> None:
    spellings, labels = [[1, 2], [1, 2], [1], [2, 1, 1], [1, 2]], [5, 3, 0, 1, 5]
    trie = build_trie(spellings, labels, [-1.0, -3.0, -2.0, -4.0, -1.0])
    assert [spelled(trie, x) for x in ([1, 2], [1], [2, 1, 1], [2], [2, 2])] == [[3, 5], [0], [1], [], []]
    nodes = trie.nodes
    assert nodes["best"][0] == -1.0
    first, end = nodes["begin"][:2]
    assert dict(nodes[["token", "best"]][first:end].tolist()) == {1: -1.0, 2: -4.0}
    assert np.all(np.diff(nodes["begin"]) >= 0)
