"""The cheapest way to pair rows with columns where either side may stay alone."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy.optimize import linear_sum_assignment

from hepatica.core.geometry import FloatArray

NEVER: Final = 1e6
"""Cost of a pair that is not allowed: far above any sum of real costs, finite because the solver needs it."""


def solve_assignment(
    cost: FloatArray, *, alone_row: float, alone_column: float
) -> tuple[tuple[tuple[int, int], ...], float]:
    """Return the pairs of the cheapest assignment, and its whole cost.

    Parameters
    ----------
    cost
        (rows, columns); `NEVER` and above where a pair is not allowed.
    alone_row, alone_column
        What a row or column without a partner costs. Half of `NEVER` each asks for as many pairs as possible.

    Examples
    --------
    >>> solve_assignment(np.array([[1.0, 9.0], [9.0, 20.0]]), alone_row=4.0, alone_column=4.0)
    (((0, 0),), 9.0)
    """
    rows, columns = cost.shape
    table = np.full((rows + columns, rows + columns), 2 * NEVER)
    table[:rows, :columns] = np.minimum(cost, 2 * NEVER)
    table[np.arange(rows), columns + np.arange(rows)] = alone_row
    table[rows + np.arange(columns), np.arange(columns)] = alone_column
    table[rows:, columns:] = 0.0
    chosen = zip(*linear_sum_assignment(table), strict=True)
    pairs = tuple((int(a), int(b)) for a, b in chosen if a < rows and b < columns and cost[a, b] < NEVER)
    total = sum(float(cost[pair]) for pair in pairs)
    total += alone_row * (rows - len(pairs)) + alone_column * (columns - len(pairs))
    return pairs, total
