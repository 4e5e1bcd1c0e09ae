"""An n-gram model walked word by word gives the numbers that KenLM gives for the same file."""

import random
import threading
from pathlib import Path

import numpy as np
import pytest
from numba import njit

from asr.errors import CheckpointError
from asr.lm.automaton import END, ROOT, Automaton, NgramModel, load_ngrams, read_arpa, save_ngrams, walk
from asr.recognizer import find_model

HERE = Path(__file__).parent
MODELS = ["whole", "pruned", "limited"]


def sentences(model: NgramModel, count: int = 200) -> list[list[str]]:
    """Real ones, and ones of words drawn at random, some of them unknown."""
    draw = random.Random(1)
    words = [*model.words, "zyzzyva"]
    real = [line.split() for line in (HERE / "sentences.txt").read_text().splitlines()]
    return real[:count] + [draw.choices(words, k=draw.randint(0, 8)) for _ in range(count)]


@pytest.mark.parametrize("name", MODELS)
def test_scores_are_those_of_kenlm(name: str) -> None:
    kenlm = pytest.importorskip("flashlight.lib.text.decoder.kenlm")
    dictionary = pytest.importorskip("flashlight.lib.text.dictionary").Dictionary
    path = HERE / f"lmplz-{name}.arpa"
    ours = read_arpa(path)
    names = dictionary(["<unk>", *ours.words])
    theirs = kenlm.KenLM(str(path), names)
    for sentence in sentences(ours):
        state, expected = theirs.start(False), []
        for word in sentence:
            state, score = theirs.score(state, names.get_index(word if word in ours.numbers else "<unk>"))
            expected.append(score)
        expected.append(theirs.finish(state)[1])
        np.testing.assert_allclose(ours.score(sentence), expected, atol=1e-5)


@pytest.mark.parametrize("name", MODELS)
def test_many_sentences_total_what_each_word_of_them_scores(name: str) -> None:
    model = read_arpa(HERE / f"lmplz-{name}.arpa")
    given = [*sentences(model), [], ["strange"]]
    np.testing.assert_allclose(model.totals(given), [sum(model.score(sentence)) for sentence in given], rtol=1e-9)
    assert len(model.totals([])) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_packed_model_scores_nearly_the_same_and_never_another_state(name: str, tmp_path: Path) -> None:
    whole = read_arpa(HERE / f"lmplz-{name}.arpa")
    save_ngrams(whole, tmp_path / "lm.npz")
    packed = load_ngrams(tmp_path / "lm.npz")
    assert packed.words == whole.words
    for sentence in sentences(whole):
        np.testing.assert_allclose(packed.score(sentence), whole.score(sentence), atol=0.05)


@pytest.mark.parametrize("name", MODELS)
def test_all_words_after_any_history_have_a_probability_of_one_together(name: str) -> None:
    model = read_arpa(HERE / f"lmplz-{name}.arpa")
    for history in sentences(model, 5):
        state = model.start
        for word in history:
            state, _ = model.walk(state, model.number(word))
        after = [10 ** model.walk(state, i)[1] for i, word in enumerate(model.words) if word != "<s>"]
        unknown = 10 ** model.walk(state, -1)[1]
        assert sum(after) + unknown == pytest.approx(1, abs=1e-3)


def test_an_end_leaves_no_history_behind() -> None:
    model = read_arpa(HERE / "lmplz-pruned.arpa")
    for sentence in sentences(model, 20):
        state = model.start
        for word in (*sentence, END):
            state, _ = model.walk(state, model.number(word))
        assert state == ROOT


@pytest.mark.parametrize("text", ["", "words", "\\data\\\nngram 1=2\n\n\\1-grams:\n-1\ta\n", "PK and then nothing"])
def test_a_broken_model_is_an_error_that_names_the_file(text: str, tmp_path: Path) -> None:
    (tmp_path / "lm.arpa").write_text(text)
    with pytest.raises(CheckpointError, match=r"lm\.arpa"):
        load_ngrams(tmp_path / "lm.arpa")
    with pytest.raises(CheckpointError, match="absent"):
        load_ngrams(tmp_path / "absent.npz")


@njit(nogil=True)
def states_on_the_way(automaton: Automaton, start: int, words: np.ndarray) -> np.ndarray:
    """A walk that begins anew after each -1."""
    states, state = np.empty(len(words), np.int64), start
    for i in range(len(words)):
        state = start if words[i] < 0 else walk(automaton, state, words[i])[0]
        states[i] = state
    return states


def test_threads_that_find_the_links_together_come_to_the_same_states() -> None:
    model = load_ngrams(find_model("small") / "ngrams.npz")
    tree, draw, words = model.automaton, np.random.default_rng(0), list[int]()
    begin = tree.nodes["begin"]
    for node in draw.integers(1, len(model.words) + 1, 10_000).tolist():  # n-grams that exist, as long as there are
        words.append(node - 1)
        while begin[node] < begin[node + 1]:
            node = int(draw.integers(begin[node], begin[node + 1]))
            words.append(int(tree.word[node]))
        words.append(-1)
    expected = states_on_the_way(tree, model.start, np.array(words))

    def walked(found: list[np.ndarray]) -> None:
        found.append(states_on_the_way(tree, model.start, np.array(words)))

    for _ in range(3):
        tree.nodes["link"][len(model.words) + 1 :] = -1
        found = list[np.ndarray]()
        walkers = [threading.Thread(target=walked, args=(found,), daemon=True) for _ in range(4)]
        for walker in walkers:
            walker.start()
        for walker in walkers:
            walker.join(60)
        assert len(found) == len(walkers)
        assert all(np.array_equal(states, expected) for states in found)
