"""An n-gram model as an ARPA file, the form that all tools read."""

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import numpy as np

from asr.lm.counting import BEGIN, Array, Counts, words_of
from asr.lm.kneser_ney import Order
from asr.writing import whole_file

ROWS = 1 << 18  # written at once


def write_arpa(counts: Counts, orders: Sequence[Order], path: Path) -> tuple[int, ...]:
    """Write what is kept, complete or not at all; how many n-grams of each order. Raises AsrError."""
    rows = [np.flatnonzero(order.kept) for order in orders]
    with whole_file(path) as part, part.open("w", encoding="utf-8") as out:
        out.write("\\data\\\n")
        out.writelines(f"ngram {n}={len(kept)}\n" for n, kept in enumerate(rows, 1))
        for n, kept in enumerate(rows, 1):
            out.write(f"\n\\{n}-grams:\n")
            for first in range(0, len(kept), ROWS):
                _write_rows(counts, orders, n, kept[first : first + ROWS], out)
        out.write("\n\\end\\\n")
    return tuple(len(kept) for kept in rows)


def _write_rows(counts: Counts, orders: Sequence[Order], n: int, rows: Array, out: TextIO) -> None:
    order, highest = orders[n - 1], n == len(orders)
    scores = np.log10(order.probabilities[rows])
    if n == 1:
        scores[rows == BEGIN] = 0.0  # given, never predicted
    backoffs = np.log10(order.backoffs[rows])
    words = zip(*(column.tolist() for column in words_of(counts, n, rows)), strict=True)
    name = counts.vocabulary
    for ids, score, backoff in zip(words, scores.tolist(), backoffs.tolist(), strict=True):
        text = " ".join([name[i] for i in ids])
        out.write(f"{score:.7g}\t{text}\n" if highest else f"{score:.7g}\t{text}\t{backoff + 0.0:.7g}\n")
