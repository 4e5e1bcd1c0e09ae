"""Interpolated modified Kneser-Ney probabilities (Chen & Goodman 1998; Heafield et al. 2013), as lmplz has them.

p(w | h) = max(0, a(hw) - D(a)) / Σ a(h·) + γ(h) · p(w | h without its first word). a: the count for the highest order
and after <s>, else the number of different words before. D depends on a = 1, 2, 3+ and on the order.
What is pruned gives its mass to γ, so the model stays a distribution.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asr.errors import ConfigError
from asr.lm.counting import BEGIN, MARKS, Array, Counts, Table

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Mask = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]

FALLBACK = (0.0, 0.5, 1.0, 1.5)  # discounts where a text is too small or too odd for its own; lmplz --discount_fallback


@dataclass(frozen=True, eq=False)
class Order:
    """Of the n-grams of one order, row by row: probability, weight of what is backed off to, and whether it is kept."""

    probabilities: Floats
    backoffs: Floats
    kept: Mask


def estimate(counts: Counts, *, prune: Sequence[int] = (), words: Collection[str] | None = None) -> tuple[Order, ...]:
    """Probabilities of every order from 1.

    prune: n-grams seen at most so often are dropped, a threshold for each order, the last for all
    higher ones; 0 keeps all.
    words: n-grams with any other word are dropped. Raises ConfigError.
    """
    thresholds = pruning_thresholds(prune, len(counts.tables))
    known = _known(counts, words)
    orders: list[Order] = []
    kept = known
    lower = np.array([1.0])
    for n, table in enumerate(counts.tables):
        above = counts.tables[n + 1] if n + 1 < len(counts.tables) else None
        kept = known if n == 0 else kept[table.contexts] & known[table.words] & (table.counts > thresholds[n])
        if n == 0:
            lower = np.array([1.0 / (kept.sum() - 1)])  # shared alike by all words but <s>
        adjusted = _adjusted(table, above)
        lower, gammas = _interpolate(table, adjusted, kept, lower)
        if n:
            orders[-1] = Order(orders[-1].probabilities, gammas, orders[-1].kept)
        orders.append(Order(lower, np.ones(len(lower)), kept))
    return tuple(orders)


def choose_words(counts: Counts, wanted: str | None) -> frozenset[str] | None:
    """The words of a file, or the commonest if `wanted` is a number; None for all. Raises ConfigError."""
    if wanted is None:
        return None
    if wanted.isdecimal():
        common = np.argsort(-counts.tables[0].counts[len(MARKS) :], kind="stable")[: int(wanted)]
        return frozenset(counts.vocabulary[i + len(MARKS)] for i in common.tolist())
    try:
        return frozenset(Path(wanted).read_text(encoding="utf-8-sig").split())
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("--words", f"expected a number or a file of words, got {wanted!r}: {error}") from error


def discounts(adjusted: Array) -> Floats:
    """D for counts of 0, 1, 2 and 3 or more (Chen & Goodman, eq. 26)."""
    n = [int((adjusted == k).sum()) for k in range(5)]
    if not all(n[1:4]):
        return np.array(FALLBACK)
    y = n[1] / (n[1] + 2 * n[2])
    found = np.array([0.0, *(k - (k + 1) * y * n[k + 1] / n[k] for k in (1, 2, 3))])
    return found if all(0 <= found[k] <= k for k in (1, 2, 3)) else np.array(FALLBACK)


def _adjusted(table: Table, above: Table | None) -> Array:
    """Counts that tell how many contexts a word has: Kneser and Ney's."""
    counts = table.counts
    if above is not None:
        before = np.bincount(above.suffixes, minlength=len(counts))
        counts = np.where(table.begins, counts, before)
    if table.suffixes.max() == 0 and table.contexts.max() == 0 and len(counts) > BEGIN and table.words[BEGIN] == BEGIN:
        counts = counts.copy()
        counts[BEGIN] = 0  # nothing predicts <s>
    return counts


def _interpolate(table: Table, adjusted: Array, kept: Mask, lower: Floats) -> tuple[Floats, Floats]:
    """Probabilities by row, and γ by row of the order below."""
    discount = discounts(adjusted)[np.minimum(adjusted, 3)]
    totals = np.bincount(table.contexts, adjusted, minlength=len(lower))
    freed = np.bincount(table.contexts, np.where(kept, discount, adjusted), minlength=len(lower))
    gammas = np.divide(freed, totals, out=np.ones(len(lower)), where=totals > 0)
    own = (adjusted - discount) / totals[table.contexts]
    return own + gammas[table.contexts] * lower[table.suffixes], gammas


def pruning_thresholds(prune: Sequence[int], order: int) -> list[int]:
    """A threshold for each order, the last one given for all higher ones. Raises ConfigError."""
    given = list(prune) or [0]
    if given[0] != 0 or given != sorted(given) or len(given) > order:
        raise ConfigError(
            "prune", f"expected 0 and then rising numbers, at most {order}, got {given}; --words limits words"
        )
    return given + [given[-1]] * (order - len(given))


def _known(counts: Counts, words: Collection[str] | None) -> Mask:
    if words is None:
        return np.ones(len(counts.vocabulary), dtype=np.bool_)
    wanted = {*words, *MARKS}
    return np.array([word in wanted for word in counts.vocabulary])
