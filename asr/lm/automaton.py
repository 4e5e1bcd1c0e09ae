"""An n-gram model as a machine to walk through: states are histories, a word leads from one to the next at a price.

Every n-gram is a node: its children are the n-grams that go on from it, sorted by word. A word that a history has no
child for is looked for from the history without its oldest word, which costs the history's backoff (Katz 1987). All is
plain arrays, so that compiled code walks it from many threads at once. On disk: probabilities and backoffs in 8 bit
each, by a code book an order (unigrams whole), in a compressed .npz (numpy; nothing in it is ever unpickled).
"""

import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from asr.errors import CheckpointError
from asr.writing import whole_file

BEGIN, END, UNKNOWN = "<s>", "</s>", "<unk>"
ROOT = 0  # the state without a history
_CODES = 256

Ints = np.ndarray[tuple[int], np.dtype[np.int32]]
Floats = np.ndarray[tuple[int], np.dtype[np.float32]]
Doubles = np.ndarray[tuple[int], np.dtype[np.float64]]
Records = np.ndarray[tuple[int], np.dtype[np.void]]
NODE = np.dtype(
    [
        ("begin", np.int32),  # the first child; the next node's is where they end
        ("link", np.int32),  # the state without the oldest word, found when first needed; -1: not yet
        ("probability", np.float32),
        ("backoff", np.float32),  # 0 for the highest order
    ]
)


class Automaton(NamedTuple):
    """Node 0 is the root, nodes 1 … V the words; then the bigrams, and so on, each order sorted by its words.

    A child of the root is 1 + its word's number. Scores are log10, as everywhere with n-grams. What belongs to a node
    stands together: a walk waits for memory and for little else.
    """

    word: np.ndarray[tuple[int], np.dtype[Any]]  # (N,) last word of each node
    nodes: Records  # (N + 1,) of NODE; of the last one only `begin` counts
    unknown: Floats  # (1,) score of a word that the model does not know


class NgramModel:
    """An automaton and the words that it knows, by number."""

    def __init__(self, words: Sequence[str], automaton: Automaton, order: int) -> None:
        self.words = tuple(words)
        self.order = order
        self.numbers = {word: i for i, word in enumerate(self.words)}
        self.automaton = automaton
        self.start = self.walk(ROOT, self.numbers[BEGIN])[0] if BEGIN in self.numbers else ROOT

    def number(self, word: str) -> int:
        """-1 for a word that the model does not know."""
        return self.numbers.get(word, -1)

    def walk(self, state: int, word: int) -> tuple[int, float]:
        """The state after a word, and log10 of its probability."""
        after, score = walk(self.automaton, state, word)
        return int(after), float(score)

    def score(self, text: Sequence[str]) -> list[float]:
        """log10 of each word's probability, and of the end's."""
        state, scores = self.start, []
        for word in (*text, END):
            state, score = self.walk(state, self.number(word))
            scores.append(score)
        return scores

    def totals(self, sentences: Sequence[Sequence[str]]) -> Doubles:
        """log10 p of each sentence, its end included: (N,)."""
        numbers = [self.number(word) for sentence in sentences for word in (*sentence, END)]
        ends = np.cumsum([len(sentence) + 1 for sentence in sentences], dtype=np.int64)
        return totals(self.automaton, self.start, np.array(numbers, np.int32), ends)


@njit(cache=True, nogil=True)
def _child(automaton: Automaton, state: int, word: int) -> int:
    """The node that a word leads to; -1 where there is none."""
    if state == 0:
        return 1 + word
    low, high = automaton.nodes[state]["begin"], automaton.nodes[state + 1]["begin"]
    end = high
    while low < high:
        middle = (low + high) >> 1
        if automaton.word[middle] < word:
            low = middle + 1
        else:
            high = middle
    return low if low < end and automaton.word[low] == word else -1


@njit(cache=True, nogil=True)
def _find_links(automaton: Automaton, node: int, parent: int, word: int) -> None:
    """Remember the link of a node just reached from its parent, and of those that it leads to.

    Threads may do so at once: all write the same, and a link is written when all further ones are there, for who sees
    it may follow it at once.
    """
    while automaton.nodes[node]["link"] < 0:
        last, state = node, parent
        while automaton.nodes[last]["link"] < 0:  # up to the last node without a link: it is the first to get one
            shorter = -1
            while shorter < 0:
                state = automaton.nodes[state]["link"]
                shorter = _child(automaton, state, word)
            if automaton.nodes[shorter]["link"] >= 0:
                automaton.nodes[last]["link"] = shorter
            last = shorter


@njit(cache=True, nogil=True)
def walk(automaton: Automaton, state: int, word: int) -> tuple[int, float]:
    """(state, word) -> (state after it, log10 p). A word below 0 is unknown and leaves no history."""
    total = 0.0
    if word < 0:
        while state != 0:
            total += automaton.nodes[state]["backoff"]
            state = automaton.nodes[state]["link"]
        return 0, total + automaton.unknown[0]
    node = _child(automaton, state, word)
    while node < 0:
        total += automaton.nodes[state]["backoff"]
        state = automaton.nodes[state]["link"]
        node = _child(automaton, state, word)
    _find_links(automaton, node, state, word)
    total += automaton.nodes[node]["probability"]
    # What neither goes on nor costs anything to leave is the same state as without its oldest word.
    nodes = automaton.nodes
    while node != 0 and nodes[node]["begin"] == nodes[node + 1]["begin"] and nodes[node]["backoff"] == 0:
        node = nodes[node]["link"]
    return node, total


@njit(cache=True, nogil=True)
def totals(automaton: Automaton, start: int, numbers: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """log10 p of sentences, one behind the other: numbers of words (W,), where each sentence ends (N,) -> (N,)."""
    found = np.zeros(len(ends), np.float64)
    first = 0
    for i in range(len(ends)):
        state = start
        for word in numbers[first : ends[i]]:
            state, score = walk(automaton, state, word)
            found[i] += score
        first = ends[i]
    return found


class Level(NamedTuple):
    """The n-grams of one order, sorted: last words, scores, and how many of the next order go on from each."""

    word: np.ndarray[tuple[int], np.dtype[Any]]
    probability: Floats
    backoff: Floats
    children: Ints


def build(words: Sequence[str], levels: Sequence[Level], unknown: float) -> NgramModel:
    """Levels from unigrams (one for each word, in order) to the highest order."""
    size = 1 + sum(len(level.word) for level in levels)
    nodes = np.zeros(size + 1, NODE)
    children = np.concatenate([[len(words)], *(level.children for level in levels[:-1])])
    nodes["begin"] = size
    nodes["begin"][: len(children) + 1] = 1 + np.concatenate([[0], np.cumsum(children)])
    nodes["link"] = -1
    nodes["link"][: len(words) + 1] = ROOT
    nodes["probability"][1:-1] = np.concatenate([level.probability for level in levels])
    nodes["backoff"][1:-1] = np.concatenate([level.backoff for level in levels])
    word = np.concatenate([np.zeros(1, levels[0].word.dtype), *(level.word for level in levels)])
    return NgramModel(words, Automaton(word, nodes, np.array([unknown], np.float32)), order=len(levels))


def read_arpa(path: Path) -> NgramModel:
    """An ARPA file, scores as they are written. Raises CheckpointError."""
    try:
        words, levels, unknown = _parse(path)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, IndexError) as error:
        raise CheckpointError(path, f"expected an n-gram model in ARPA's form: {error}") from error
    if any(np.isnan(scores).any() for level in levels for scores in (level.probability, level.backoff)):
        raise CheckpointError(path, "expected scores that are numbers; some are not (nan)")
    return build(words, levels, unknown)


def _parse(path: Path) -> tuple[list[str], list[Level], float]:
    with path.open(encoding="utf-8-sig") as file:
        lines = iter(file)
        orders = _orders(lines)
        unigrams = dict(_rows(lines, 1, orders[0]))
        unknown = unigrams.pop((UNKNOWN,), (-100.0, 0.0))[0]
        words = [ngram[0] for ngram in unigrams]
        number = {word: i for i, word in enumerate(words)}
        scores = np.array(list(unigrams.values()), np.float32).reshape(-1, 2)
        dtype = np.uint16 if len(words) <= np.iinfo(np.uint16).max else np.int32
        none = np.zeros(len(words), np.int32)
        levels = [Level(np.arange(len(words), dtype=dtype), scores[:, 0].copy(), scores[:, 1].copy(), none)]
        keys = np.arange(len(words), dtype=np.int64)  # of the order before: parent · V + word, ascending
        before = [keys]
        for n in range(2, len(orders) + 1):
            ids = np.empty((orders[n - 1], n), np.int64)
            scores = np.empty((orders[n - 1], 2), np.float32)
            for row, (ngram, pair) in enumerate(_rows(lines, n, orders[n - 1])):
                ids[row] = [number[word] for word in ngram]
                scores[row] = pair
            parent = ids[:, 0]
            for k in range(1, n - 1):
                wanted = parent * len(words) + ids[:, k]
                parent = np.searchsorted(before[k], wanted)
                if not np.array_equal(before[k][np.minimum(parent, len(before[k]) - 1)], wanted):
                    raise ValueError(f"an n-gram of order {n} has a history that is no n-gram itself")
            keys = parent * len(words) + ids[:, -1]
            order = np.argsort(keys)
            before.append(keys[order])
            levels[-1] = levels[-1]._replace(
                children=np.bincount(parent, minlength=len(levels[-1].word)).astype(np.int32)
            )
            scores = scores[order]
            last = ids[order, -1].astype(dtype)
            levels.append(Level(last, scores[:, 0].copy(), scores[:, 1].copy(), np.zeros(len(last), np.int32)))
    return words, levels, float(unknown)


def _orders(lines: Iterator[str]) -> list[int]:
    """How many n-grams of each order the head announces."""
    if next(lines, "").strip() != "\\data\\":
        raise ValueError("it does not begin with \\data\\")
    found = []
    for line in lines:
        if not line.strip():
            break
        found.append(int(line.rpartition("=")[2]))
    return found


def _rows(lines: Iterator[str], n: int, count: int) -> Iterator[tuple[tuple[str, ...], tuple[float, float]]]:
    """The n-grams of one order with log10 probability and backoff."""
    head = f"\\{n}-grams:"
    if not any(line.strip() == head for line in lines):
        raise ValueError(f"the part {head} is missing")
    for _ in range(count):
        fields = next(lines, "").rstrip("\n").split("\t")
        yield tuple(fields[1].split(" ")), (float(fields[0]), float(fields[2]) if len(fields) > 2 else 0.0)


def save_ngrams(model: NgramModel, path: Path) -> None:
    """Quantise and write, complete or not at all. Raises AsrError."""
    automaton = model.automaton
    arrays: dict[str, Any] = {
        "words": np.frombuffer("\n".join(model.words).encode(), np.uint8),
        "unknown": automaton.unknown,
        "word": automaton.word[1 + len(model.words) :],
    }
    children = np.diff(automaton.nodes["begin"])[1:]
    first, level = 1, 1
    while first < len(automaton.word):
        last = int(automaton.nodes["begin"][first])  # an order's first node's first child is the next order's first
        for name in ("probability", "backoff"):
            values = np.ascontiguousarray(automaton.nodes[name][first:last])
            if level == 1:
                arrays[f"{name}1"] = values
            else:
                arrays[f"{name}{level}"], arrays[f"{name}{level}_book"] = _quantised(values)
        if last < len(automaton.word):
            counts = children[first - 1 : last - 1]
            arrays[f"children{level}"] = counts.astype(np.min_scalar_type(counts.max()))
        first, level = last, level + 1
    with whole_file(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)


def load_ngrams(path: Path) -> NgramModel:
    """What `save_ngrams` wrote, or an ARPA file. Raises CheckpointError."""
    try:
        with path.open("rb") as file:
            zipped = file.read(2) == b"PK"
    except OSError as error:
        raise CheckpointError(path, f"expected an n-gram model, packed or ARPA, that can be read: {error}") from error
    if not zipped:
        return read_arpa(path)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            words = arrays["words"].tobytes().decode().split("\n")
            highest = max(
                int(name[len("probability") :]) for name in arrays.files if name[-1].isdigit() and "prob" in name
            )
            ends = np.cumsum([len(arrays[f"probability{n}"]) for n in range(2, highest + 1)])
            parts = np.split(arrays["word"], ends[:-1]) if highest > 1 else []
            levels = [
                Level(
                    np.arange(len(words)).astype(arrays["word"].dtype) if n == 1 else parts[n - 2],
                    _plain(arrays, f"probability{n}"),
                    _plain(arrays, f"backoff{n}"),
                    arrays[f"children{n}"].astype(np.int32) if n < highest else np.zeros(0, np.int32),
                )
                for n in range(1, highest + 1)
            ]
            return build(words, levels, float(arrays["unknown"][0]))
    except (OSError, ValueError, KeyError, IndexError, UnicodeDecodeError, zipfile.BadZipFile, EOFError) as error:
        raise CheckpointError(path, f"expected an n-gram model of `asr lm pack`: {error}") from error


def _plain(arrays: Mapping[str, Any], name: str) -> Floats:
    """Scores as they were written: unigrams as they are, the others by their book."""
    values: Floats = arrays[name] if name[-1] == "1" else arrays[f"{name}_book"][arrays[name]]
    return values


def _quantised(values: Floats) -> tuple[np.ndarray[tuple[int], np.dtype[np.uint8]], Floats]:
    """Codes and their book: bins of as many values each, a bin's mean for all in it; 0 stays 0, as backoffs need."""
    distinct = np.unique(values)
    if len(distinct) <= _CODES:
        return np.searchsorted(distinct, values).astype(np.uint8), distinct.astype(np.float32)
    rest = np.sort(values[values != 0])
    bins = np.array_split(rest, _CODES - 1)
    means = np.unique(np.array([part.mean() for part in bins], np.float32))
    book = np.sort(np.concatenate([means, np.zeros(1, np.float32)]))
    borders = (book[1:] + book[:-1]) / 2
    codes = np.searchsorted(borders, values)
    zero = int(np.flatnonzero(book == 0)[0])
    codes[values == 0] = zero
    return codes.astype(np.uint8), book
