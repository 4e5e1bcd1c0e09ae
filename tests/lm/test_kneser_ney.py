"""Our n-gram estimator against numbers that KenLM's lmplz wrote (--discount_fallback) for the same sentences."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from asr.errors import CheckpointError, ConfigError
from asr.lm.arpa import write_arpa
from asr.lm.counting import BEGIN, count_ngrams, read_lines
from asr.lm.kneser_ney import choose_words, discounts, estimate
from asr.lm.perplexity import perplexity
from asr.lm.pruning import prune_by_entropy
from pipelines.command import app

HERE = Path(__file__).parent
SENTENCES = HERE / "sentences.txt"
Ngrams = dict[str, tuple[float, ...]]


def ngrams(path: Path) -> Ngrams:
    rows = (line.split("\t") for line in path.read_text().splitlines())
    return {row[1]: (float(row[0]), *map(float, row[2:])) for row in rows if len(row) > 1}


def build(
    folder: Path,
    *,
    chunk: int = 1 << 20,
    prune: tuple[int, ...] = (),
    words: str | None = None,
    entropy: float | None = None,
) -> Path:
    counts = count_ngrams(read_lines([SENTENCES]), order=3, scratch=folder, chunk=chunk)
    orders = estimate(counts, prune=prune, words=choose_words(counts, words))
    if entropy is not None:
        orders = prune_by_entropy(counts, orders, entropy)
    write_arpa(counts, orders, folder / "lm.arpa")
    return folder / "lm.arpa"


@pytest.mark.parametrize(
    ("name", "prune", "words"),
    [("whole", (), None), ("pruned", (0, 1, 1), None), ("limited", (), str(HERE / "words.txt"))],
)
def test_the_model_equals_that_of_lmplz(tmp_path: Path, name: str, prune: tuple[int, ...], words: str | None) -> None:
    ours, theirs = ngrams(build(tmp_path, prune=prune, words=words)), ngrams(HERE / f"lmplz-{name}.arpa")
    assert ours.keys() == theirs.keys()
    for text, numbers in theirs.items():
        np.testing.assert_allclose(ours[text], numbers, atol=2e-6, err_msg=text)


@pytest.mark.parametrize("chunk", [5, 100])
def test_chunks_do_not_show_in_the_model(tmp_path: Path, chunk: int) -> None:
    (tmp_path / "whole").mkdir()
    assert build(tmp_path, chunk=chunk).read_text() == build(tmp_path / "whole").read_text()


@pytest.mark.parametrize(
    ("prune", "words", "entropy"),
    [((), None, None), ((0, 1), None, None), ((), "50", None), ((), None, 2e-4), ((0, 0, 1), None, 1e-3)],
)
def test_after_each_context_the_words_share_one_probability(
    tmp_path: Path, prune: tuple[int, ...], words: str | None, entropy: float | None
) -> None:
    model = ngrams(build(tmp_path, prune=prune, words=words, entropy=entropy))
    singles = [word for word in model if " " not in word and word != "<s>"]

    def log10(words: tuple[str, ...]) -> float:
        if " ".join(words) in model:
            return model[" ".join(words)][0]
        context = model.get(" ".join(words[:-1]), (0.0, 0.0))
        return context[1] + log10(words[1:])

    contexts = [tuple(text.split()) for text, numbers in model.items() if len(numbers) == 2]
    for context in [(), *contexts[1:400:13]]:
        if "</s>" not in context:
            assert sum(10 ** log10((*context, word)) for word in singles) == pytest.approx(1, abs=1e-5), context


def test_entropy_pruning_drops_what_matters_least(tmp_path: Path) -> None:
    whole = ngrams(build(tmp_path))
    sizes, hesitations = [], []
    for entropy in (0.0, 1e-4, 1e-3, 1e-2):
        model = build(tmp_path, entropy=entropy)
        sizes.append(len(ngrams(model)))
        hesitations.append(perplexity(model, SENTENCES.read_text().splitlines()).including_unknown)
    assert len(whole) >= sizes[0] > sizes[1] > sizes[2] > sizes[3]
    assert hesitations == sorted(hesitations)


def test_a_number_of_words_keeps_the_commonest(tmp_path: Path) -> None:
    model = ngrams(build(tmp_path, words="5"))
    kept = {word for word in model if " " not in word} - {"<unk>", "<s>", "</s>"}
    counts = count_ngrams(read_lines([SENTENCES]), order=1, scratch=tmp_path)
    often = dict(zip(counts.vocabulary, counts.tables[0].counts.tolist(), strict=True))
    assert len(kept) == 5
    assert min(often[word] for word in kept) >= sorted(often[word] for word in counts.vocabulary[3:])[-5]


def test_counts_are_those_of_a_plain_count(tmp_path: Path) -> None:
    counts = count_ngrams(["a b a b", "", "a b c"], order=2, scratch=tmp_path, chunk=3)
    name, table = counts.vocabulary, counts.tables[1]
    found = {
        (name[c], name[w]): n
        for c, w, n in zip(table.contexts.tolist(), table.words.tolist(), table.counts.tolist(), strict=True)
    }
    assert found == {
        ("<s>", "a"): 2, ("a", "b"): 3, ("b", "a"): 1, ("b", "</s>"): 1, ("<s>", "</s>"): 1, ("b", "c"): 1,
        ("c", "</s>"): 1,
    }  # fmt: skip
    assert table.begins.sum() == (table.contexts == BEGIN).sum()


def test_odd_counts_take_the_fallback_discounts() -> None:
    np.testing.assert_array_equal(discounts(np.array([1, 1, 1])), (0, 0.5, 1, 1.5))


def test_perplexity_is_that_of_the_arpa_by_hand(tmp_path: Path) -> None:
    model = build(tmp_path)
    known = ngrams(model)
    first = SENTENCES.read_text().splitlines()[0].split()
    words = ["<s>", *first, "</s>"]
    expected = known[f"<s> {words[1]}"][0] + sum(known[" ".join(words[i : i + 3])][0] for i in range(len(words) - 2))
    found = perplexity(model, [" ".join(first)])
    assert found.log10 == pytest.approx(expected, abs=1e-4)
    assert (found.sentences, found.words, found.unknown) == (1, len(first), 0)
    assert perplexity(model, ["zyzzyva " + " ".join(first)]).unknown == 1


def test_the_commands_write_a_model_and_measure_it(tmp_path: Path) -> None:
    out = str(tmp_path / "lm.arpa")
    built = CliRunner().invoke(app, ["lm", "build", str(SENTENCES), "--out", out, "--prune", "0 1 1", "--words", "100"])
    assert built.exit_code == 0
    measured = CliRunner().invoke(app, ["lm", "perplexity", out, str(SENTENCES), "--json"])
    assert json.loads(measured.stdout)["perplexity"] > 1


@pytest.mark.parametrize("prune", [(1,), (0, 2, 1), (0, 1, 1, 1)])
def test_thresholds_that_make_no_model_are_refused(tmp_path: Path, prune: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="prune"):
        build(tmp_path, prune=prune)


def test_what_is_no_text_or_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        list(read_lines([tmp_path / "bad"]))
    with pytest.raises(ConfigError, match="one sentence"):
        count_ngrams([], order=2, scratch=tmp_path)
    with pytest.raises(ConfigError, match="remove it"):
        count_ngrams(["a </s> b"], order=2, scratch=tmp_path)
    with pytest.raises(CheckpointError, match="ARPA"):
        perplexity(tmp_path / "none.arpa", ["a"])


def test_a_mark_before_the_first_word_is_not_of_it_and_an_order_above_all_lines_is_refused(tmp_path: Path) -> None:
    (tmp_path / "marked.txt").write_text("the cat\n\n", encoding="utf-8-sig")
    counts = count_ngrams(read_lines([tmp_path / "marked.txt"]), order=4, scratch=tmp_path)
    assert counts.vocabulary[3:] == ("the", "cat")
    with pytest.raises(ConfigError, match="3 words or more for an order of 5"):
        count_ngrams(read_lines([tmp_path / "marked.txt"]), order=5, scratch=tmp_path)
