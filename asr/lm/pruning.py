"""Entropy pruning (Stolcke 1998): drop the n-grams whose loss changes the model least, and weigh what is left anew.

The change is D = -P(h) {p(w|h) [ln p(w|h') + ln γ'(h) - ln p(w|h)] + (1 - Σ p(·|h)) [ln γ'(h) - ln γ(h)]}, h' being h
without its first word and γ' the weight of backing off once hw is gone. P(h) is counted in the text: Kneser and Ney's
lower orders are no estimate of it (Chelba et al. 2010).
"""

from collections.abc import Sequence

import numpy as np

from asr.lm.counting import Counts, Table
from asr.lm.kneser_ney import Floats, Mask, Order

_LEAST = 1e-12  # of a mass that is left over: where all words follow, rounding may leave less than nothing


def prune_by_entropy(counts: Counts, orders: Sequence[Order], threshold: float) -> tuple[Order, ...]:
    """Keep the n-grams whose loss would raise the perplexity by `threshold` (relative, such as 1e-8) or more.

    An n-gram stays while a longer one that is kept begins or ends with it, so that every kept one has its context and
    what it backs off to.
    """
    kept = [order.kept for order in orders]
    total = int(counts.tables[0].counts.sum())
    for n in range(len(orders) - 1, 0, -1):
        table, below = counts.tables[n], counts.tables[n - 1]
        change = _change(table, orders[n].probabilities, orders[n - 1], kept[n], below.counts / total)
        needed = _needed(counts.tables[n + 1], kept[n + 1], len(kept[n])) if n + 1 < len(orders) else False
        kept[n] = kept[n] & (needed | (np.expm1(change) >= threshold))
    return tuple(_reweighed(counts, orders, kept, n) for n in range(len(orders)))


def _change(table: Table, own: Floats, below: Order, kept: Mask, weight: Floats) -> Floats:
    """D of every n-gram of an order, as if it alone were dropped. `weight`: P(h) of the contexts."""
    lower = below.probabilities[table.suffixes]
    left, left_lower = _left(table, own, kept, len(weight)), _left(table, lower, kept, len(weight))
    h = table.contexts
    before = np.log(left / left_lower)[h]
    after = np.log((left[h] + own) / (left_lower[h] + lower))
    gained = own * (np.log(lower) + after - np.log(own)) + left[h] * (after - before)
    return np.asarray(-weight[h] * gained)


def _left(table: Table, probabilities: Floats, kept: Mask, contexts: int) -> Floats:
    """1 - Σ p(w|h) over the kept words of each context."""
    used = np.bincount(table.contexts[kept], probabilities[kept], minlength=contexts)
    left: Floats = np.maximum(1.0 - used, _LEAST)
    return left


def _needed(longer: Table, kept: Mask, size: int) -> Mask:
    needed = np.zeros(size, dtype=np.bool_)
    needed[longer.contexts[kept]] = True
    needed[longer.suffixes[kept]] = True
    return needed


def _reweighed(counts: Counts, orders: Sequence[Order], kept: Sequence[Mask], n: int) -> Order:
    """The order with what is kept of it, and with the weights that what is kept of the next one asks for."""
    if n + 1 == len(orders):
        return Order(orders[n].probabilities, orders[n].backoffs, kept[n])
    longer, size = counts.tables[n + 1], len(kept[n])
    lower = orders[n].probabilities[longer.suffixes]
    left = _left(longer, orders[n + 1].probabilities, kept[n + 1], size)
    backoffs = left / _left(longer, lower, kept[n + 1], size)
    has_words = np.bincount(longer.contexts[kept[n + 1]], minlength=size) > 0
    return Order(orders[n].probabilities, np.where(has_words, backoffs, 1.0), kept[n])
