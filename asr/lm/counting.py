"""Text to tables of its n-grams with their counts, in bounded memory: sorted chunks on disk, merged piece by piece.

An n-gram of order n is a number: its row in the table of its order. The table's key is (row of its context in the
table of order n-1) << bits | last word, sorted, so that n-grams of one context lie together and any order fits in 64
bits. Counting holds a chunk at a time; the finished tables hold 33 bytes for each different n-gram.
"""

import lzma
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from asr.errors import ConfigError

Array = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Stream = np.ndarray[tuple[int, ...], np.dtype[np.uint32]]  # one number a token of the text, on disk

UNKNOWN, BEGIN, END = 0, 1, 2
MARKS = ("<unk>", "<s>", "</s>")
CHUNK = 1 << 22  # tokens sorted at once: about 200 MB
NO_ROW = (1 << 32) - 1  # the n-gram that ends here would begin before its sentence


@dataclass(frozen=True, eq=False)
class Table:
    """Every n-gram of one order, sorted by key; rows count from 0."""

    contexts: Array  # row of all words but the last, in the table below; 0 for single words
    words: Array  # the last word
    counts: Array
    suffixes: Array  # row of all words but the first, in the table below; 0 for single words
    begins: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]  # its first word is <s>


@dataclass(frozen=True, eq=False)
class Counts:
    """The vocabulary in order of appearance, after <unk> <s> </s>, and a table for each order from 1."""

    vocabulary: tuple[str, ...]
    tables: tuple[Table, ...]


_ENCODING = "utf-8-sig"  # a mark that some editors put before the first word is not of it


def read_lines(paths: Iterable[Path]) -> Iterator[str]:
    """The lines of text files, plain or .xz. Raises ConfigError."""
    for path in paths:
        try:
            with (
                lzma.open(path, "rt", encoding=_ENCODING)
                if path.suffix == ".xz"
                else path.open(encoding=_ENCODING) as file
            ):
                yield from file
        except (OSError, UnicodeDecodeError, EOFError, lzma.LZMAError) as error:
            raise ConfigError(path, f"expected text in UTF-8, plain or .xz: {error}") from error


def count_ngrams(lines: Iterable[str], *, order: int, scratch: Path, chunk: int = CHUNK) -> Counts:
    """Count all n-grams up to `order` within lines. `scratch`: a folder for some 20 bytes a word."""
    if order < 1:
        raise ConfigError("order", f"expected 1 or more, got {order}")
    vocabulary = _write_tokens(lines, scratch / "tokens", chunk)
    tokens = np.memmap(scratch / "tokens", dtype=np.uint32, mode="r")
    bits = len(vocabulary).bit_length()
    tables = [_words(tokens, len(vocabulary), chunk)]
    rows: Stream = tokens
    for n in range(2, order + 1):
        keys, counts = _merge(_runs(tokens, rows, bits=bits, chunk=chunk, scratch=scratch), chunk)
        if not len(keys):
            raise ConfigError("order", f"expected lines of {n - 2} words or more for an order of {n}, found none")
        if len(keys) >= NO_ROW >> 1:
            raise ConfigError("text", f"{len(keys)} {n}-grams are more than this counter can number; use less text")
        tables.append(_table(keys, counts, tables, bits))
        if n < order:
            rows = _number(tokens, rows, keys, bits=bits, chunk=chunk, path=scratch / f"rows{n}")
    return Counts(tuple(vocabulary), tuple(tables))


def _write_tokens(lines: Iterable[str], path: Path, chunk: int) -> list[str]:
    ids: defaultdict[str, int] = defaultdict()
    ids.default_factory = ids.__len__
    for mark in MARKS:
        ids[mark]
    with path.open("wb") as out:
        held: list[int] = []
        for number, line in enumerate(lines, 1):
            words = line.split()
            if not set(MARKS).isdisjoint(words):
                raise ConfigError(f"line {number}", f"expected words, got one of {' '.join(MARKS)}; remove it")
            held += [BEGIN, *[ids[word] for word in words], END]
            if len(held) >= chunk:
                out.write(np.array(held, dtype=np.uint32).tobytes())
                held = []
        out.write(np.array(held, dtype=np.uint32).tobytes())
    if path.stat().st_size == 0:
        raise ConfigError("text", "expected one sentence or more, got none")
    return list(ids)


def _words(tokens: Stream, size: int, chunk: int) -> Table:
    counts = np.zeros(size, dtype=np.int64)
    for first in range(0, len(tokens), chunk):
        counts += np.bincount(tokens[first : first + chunk], minlength=size)
    words, zero = np.arange(size), np.zeros(size, dtype=np.int64)
    return Table(contexts=zero, words=words, counts=counts, suffixes=zero, begins=words == BEGIN)


def _keys(tokens: Stream, rows: Stream, *, bits: int, first: int, chunk: int) -> tuple[Array, Array]:
    """Places in the chunk where an n-gram ends, and its key there."""
    words = tokens[max(1, first) : first + chunk].astype(np.int64)
    contexts = rows[max(1, first) - 1 :][: len(words)].astype(np.int64)
    places = np.flatnonzero((contexts != NO_ROW) & (words != BEGIN))
    return places + max(1, first), contexts[places] << bits | words[places]


def _runs(
    tokens: Stream,
    rows: Stream,
    *,
    bits: int,
    chunk: int,
    scratch: Path,
) -> list[tuple[Array, Array]]:
    """Sorted keys and counts of each chunk, on disk."""
    runs = []
    for number, first in enumerate(range(0, len(tokens), chunk)):
        _, keys = _keys(tokens, rows, bits=bits, first=first, chunk=chunk)
        found = np.unique(keys, return_counts=True)
        paths = [scratch / f"run{number}-{part}.npy" for part in ("keys", "counts")]
        for path, values in zip(paths, found, strict=True):
            path.unlink(missing_ok=True)  # the last order's may still be mapped
            np.save(path, values)
        runs.append((np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r")))
    return runs


def _merge(runs: list[tuple[Array, Array]], chunk: int) -> tuple[Array, Array]:
    """Add up equal keys of the runs, a range of keys of about `chunk` entries at a time."""
    total = sum(len(keys) for keys, _ in runs)
    samples = np.sort(np.concatenate([keys[:: max(1, total // 4096)] for keys, _ in runs]))
    pieces = max(1, -(-total // chunk))
    bounds = samples[np.arange(1, pieces) * len(samples) // pieces] if len(samples) else samples
    cuts = [[0, *np.searchsorted(keys, bounds).tolist(), len(keys)] for keys, _ in runs]
    merged = [
        _add_up([(k[c[i] : c[i + 1]], n[c[i] : c[i + 1]]) for (k, n), c in zip(runs, cuts, strict=True)])
        for i in range(pieces)
    ]
    keys, counts = (np.concatenate(parts) for parts in zip(*merged, strict=True))
    return keys, counts


def _add_up(parts: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    keys, counts = (np.concatenate(values) for values in zip(*parts, strict=True))
    if not len(keys):
        return keys, counts
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]]))
    return keys[starts], np.add.reduceat(counts[order], starts)


def _table(keys: Array, counts: Array, tables: list[Table], bits: int) -> Table:
    below = tables[-1]
    contexts, words = keys >> bits, keys & ((1 << bits) - 1)
    if len(tables) == 1:
        suffixes = words
    else:  # (context, word) without its first word is (context without its first word, word)
        known = below.contexts << bits | below.words
        suffixes = np.searchsorted(known, below.suffixes[contexts] << bits | words)
    return Table(contexts=contexts, words=words, counts=counts, suffixes=suffixes, begins=below.begins[contexts])


def _number(
    tokens: Stream,
    rows: Stream,
    keys: Array,
    *,
    bits: int,
    chunk: int,
    path: Path,
) -> Stream:
    """The row of the n-gram that ends at each token, on disk."""
    found = np.memmap(path, dtype=np.uint32, mode="w+", shape=tokens.shape)
    found[:] = NO_ROW
    for first in range(0, len(tokens), chunk):
        places, wanted = _keys(tokens, rows, bits=bits, first=first, chunk=chunk)
        distinct, back = np.unique(wanted, return_inverse=True)
        found[places] = np.searchsorted(keys, distinct)[back]
    return found


def words_of(counts: Counts, order: int, rows: Array) -> list[Array]:
    """The words of n-grams given by row, first to last."""
    words: list[Array] = []
    for table in reversed(counts.tables[:order]):
        words.append(table.words[rows])
        rows = table.contexts[rows]
    return list(chain(reversed(words)))
