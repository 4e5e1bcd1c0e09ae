"""Intervals by drawing the test set again and again (Bisani & Ney 2004), over units that belong together.

Sets are strata: each is drawn from by itself, as the user chose them. The percentiles are widened as a t interval is
against a normal one (Hesterberg 2015, "expanded percentile"), without which few units give too short ones.
"""

from collections.abc import Hashable, Sequence

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, stdtrit

Array = npt.NDArray[np.float64]
DRAWS = 2000
LEVEL = 0.95
FEWEST_DRAWS = 400  # with many thousands of units, where the interval is short and so is its own error
_MOST_DRAWN = 4_000_000
_BLOCK = 2_000_000


def draw_totals(
    values: Array, units: Sequence[tuple[Hashable, Hashable]], *, draws: int = DRAWS, seed: int = 0
) -> Array:
    """Totals of resampled test sets: values (N, M), units (set, unit) of each row -> (draws, M); see FEWEST_DRAWS."""
    rng = np.random.default_rng(seed)
    draws = min(draws, max(FEWEST_DRAWS, _MOST_DRAWN // max(1, len(set(units)))))
    totals = np.zeros((draws, values.shape[1]))
    for sums in _sums_by_stratum(values, units):
        count = len(sums)
        block = max(1, _BLOCK // count)
        for first in range(0, draws, block):
            size = min(block, draws - first)
            totals[first : first + size] += rng.multinomial(count, np.full(count, 1 / count), size=size) @ sums
    return totals


def _sums_by_stratum(values: Array, units: Sequence[tuple[Hashable, Hashable]]) -> list[Array]:
    """For each set, (units of it, M): the rows of one unit added up."""
    numbers: dict[tuple[Hashable, Hashable], int] = {}
    rows = np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.intp)
    sums = np.zeros((len(numbers), values.shape[1]))
    np.add.at(sums, rows, values)
    strata: dict[Hashable, list[int]] = {}
    for (stratum, _), number in numbers.items():
        strata.setdefault(stratum, []).append(number)
    return [sums[chosen] for chosen in strata.values()]


def percentile_interval(statistics: Array, *, units: int, level: float = LEVEL) -> tuple[float, float]:
    """The interval that covers `level`, from a statistic of each draw. NaN with fewer than two units or values."""
    usable = statistics[np.isfinite(statistics)]
    if units < 2 or len(usable) < 2:
        return float("nan"), float("nan")
    quantile = stdtrit(units - 1, (1 - level) / 2) * np.sqrt(units / (units - 1))
    tail = float(ndtr(quantile))
    low, high = np.quantile(usable, [tail, 1 - tail])
    return float(low), float(high)


def ratio(numerator: Array, denominator: Array) -> Array:
    """numerator / denominator, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, np.nan), where=denominator > 0)
