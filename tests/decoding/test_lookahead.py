"""What a search hopes for inside a word, against every word of the lexicon."""

import itertools
from pathlib import Path

import numpy as np
import pytest

from asr.decoding.lookahead import build_lookahead, cost_of_forgetting, hope, place_of, places_below, root_of
from asr.decoding.paths import NONE
from asr.decoding.trie import Trie, build_trie
from asr.lm.automaton import ROOT, NgramModel, read_arpa

WAYS = {"ab": ["ab", "abb"], "a": ["a"], "ba": ["ba", "bb"], "bee": ["b"], "bab": ["bab"], "unsaid": ["aab"]}
ARPA = """\\data\\
ngram 1=7
ngram 2=7
ngram 3=1

\\1-grams:
-1.0\t<unk>\t0
0\t<s>\t-0.2
-0.9\t</s>\t0
-0.6\tab\t-0.3
-0.8\ta\t-0.1
-0.7\tba\t-0.2
-1.1\tbee\t0

\\2-grams:
-0.2\ta ba\t-0.1
-1.9\ta ab\t0
-0.3\t<s> a\t-0.2
-0.4\tab </s>\t0
-0.5\tba a\t0
-0.1\tba bee\t0
-0.8\tba ab\t0

\\3-grams:
-0.1\ta ba a

\\end\\
"""


@pytest.fixture
def model(tmp_path: Path) -> NgramModel:
    (tmp_path / "lm.arpa").write_text(ARPA)
    return read_arpa(tmp_path / "lm.arpa")


def trees(model: NgramModel) -> tuple[Trie, np.ndarray]:
    """The tree of all ways to say the words, and the words' numbers."""
    numbers = np.array([model.number(word) for word in WAYS], np.int32)
    alone = [model.walk(ROOT, int(number))[1] for number in numbers]
    spelled = [(["_ab".index(x) for x in way], label) for label, ways in enumerate(WAYS.values()) for way in ways]
    labels = [label for _, label in spelled]
    return build_trie([tokens for tokens, _ in spelled], labels, [alone[label] for label in labels]), numbers


def expected(model: NgramModel, history: tuple[str, ...], begun: str) -> float:
    """log10 p of the likeliest word that may be meant: after the last word, or forgetting it if that is more."""
    last, values = model.number(history[-1]), []
    after = model.walk(ROOT, last)[0]
    backoff = float(model.automaton.nodes["backoff"][1 + last])
    for word, ways in WAYS.items():
        if any(way.startswith(begun) for way in ways):
            number = model.number(word)
            values += [backoff + model.walk(ROOT, number)[1]]
            if number != NONE:
                values += [model.walk(after, number)[1] if after else values[-1]]
    return max(values)


@pytest.mark.parametrize("history", [("a",), ("ab",), ("ba",), ("bee",), ("a", "ba"), ("ba", "a")])
def test_a_path_hopes_for_the_likeliest_word_that_begins_as_it_does_after_the_word_before(
    model: NgramModel, history: tuple[str, ...]
) -> None:
    trie, numbers = trees(model)
    automaton, lookahead = model.automaton, build_lookahead(trie, model.automaton, numbers)
    state = model.start
    for word in history:
        state = model.walk(state, model.number(word))[0]
    forgotten = cost_of_forgetting(automaton, state)
    begun = {way[:n] for ways in WAYS.values() for way in ways for n in range(1, len(way) + 1)}
    for tokens in begun:
        node, at = 0, root_of(lookahead, automaton, state)
        for letter in tokens:
            place, last = places_below(lookahead, at)
            children = range(int(trie.nodes["begin"][node]), int(trie.nodes["begin"][node + 1]))
            for child in children:
                place, at = place_of(lookahead, place, last, child)
                if trie.nodes["token"][child] == "_ab".index(letter):
                    node = child
                    break
        hoped = hope(lookahead, at, forgotten + float(trie.nodes["best"][node]))
        if state != ROOT:
            assert hoped == pytest.approx(expected(model, history, tokens), abs=1e-5)


def test_where_there_are_no_bigrams_a_path_hopes_for_what_is_likely_by_itself(tmp_path: Path) -> None:
    ones = ARPA[: ARPA.index("ngram 2")] + "\n" + ARPA[ARPA.index("\\1-grams") : ARPA.index("\\2-grams")] + "\\end\\\n"
    (tmp_path / "ones.arpa").write_text(ones)
    model = read_arpa(tmp_path / "ones.arpa")
    trie, numbers = trees(model)
    lookahead = build_lookahead(trie, model.automaton, numbers)
    assert set(lookahead.root.tolist()) == {NONE}
    assert [root_of(lookahead, model.automaton, state) for state in range(5)] == [NONE] * 5
    assert places_below(lookahead, NONE) == (0, 0)


def test_words_that_the_language_model_does_not_have_and_phrases_are_left_to_the_tree(model: NgramModel) -> None:
    trie, numbers = trees(model)
    known = build_lookahead(trie, model.automaton, numbers)
    none = build_lookahead(trie, model.automaton, np.full_like(numbers, NONE))
    assert len(none.places) == 1 < len(known.places)
    pairs = itertools.pairwise(known.places["begin"].tolist())
    assert all(first <= last for first, last in pairs)
