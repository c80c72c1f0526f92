"""Isotonic estimates: toxicity never falls with the dose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

DYKSTRA_TOLERANCE: Final = 1e-12
"""Largest change of a cell between two sweeps at which the matrix fit has converged (probabilities)."""
MOST_SWEEPS: Final = 20_000
"""Sweeps after which a fit that has not met the tolerance is accepted; typical fits need fewer than 200."""


def derive_isotonic(values: Sequence[float], *, weights: Sequence[float]) -> tuple[float, ...]:
    """Return the weighted least-squares non-decreasing fit, by pooling adjacent violators.

    Examples
    --------
    >>> derive_isotonic((0.1, 0.4, 0.2), weights=(1, 1, 1))
    (0.1, 0.30000000000000004, 0.30000000000000004)
    """
    blocks: list[tuple[float, float, int]] = []
    for value, weight in zip(values, weights):
        mean, mass, count = float(value), float(weight), 1
        while blocks and blocks[-1][0] > mean:
            before, before_mass, before_count = blocks.pop()
            mean = (before * before_mass + mean * mass) / (before_mass + mass)
            mass += before_mass
            count += before_count
        blocks.append((mean, mass, count))
    return tuple(mean for mean, _, count in blocks for _ in range(count))


def derive_matrix_isotonic(
    values: Sequence[Sequence[float]], *, weights: Sequence[Sequence[float]]
) -> tuple[tuple[float, ...], ...]:
    """Return the weighted least-squares fit that falls along neither rows nor columns.

    Rows and columns are fitted in turn with Dykstra's corrections, which converge to the projection on both
    (Dykstra and Robertson 1982, doi:10.1214/aos/1176345866).

    Parameters
    ----------
    values, weights
        Matrices (rows = levels of the first agent, columns = levels of the second).
    """
    rows, columns = len(values), len(values[0])
    fit = [list(map(float, row)) for row in values]
    row_correction = [[0.0] * columns for _ in range(rows)]
    column_correction = [[0.0] * columns for _ in range(rows)]
    for _ in range(MOST_SWEEPS):
        before = [row[:] for row in fit]
        for i in range(rows):
            offset = [fit[i][j] + row_correction[i][j] for j in range(columns)]
            fitted = derive_isotonic(offset, weights=weights[i])
            row_correction[i] = [offset[j] - fitted[j] for j in range(columns)]
            fit[i] = list(fitted)
        for j in range(columns):
            offset = [fit[i][j] + column_correction[i][j] for i in range(rows)]
            fitted = derive_isotonic(offset, weights=[weights[i][j] for i in range(rows)])
            for i in range(rows):
                column_correction[i][j] = offset[i] - fitted[i]
                fit[i][j] = fitted[i]
        if (
            max(abs(fit[i][j] - before[i][j]) for i in range(rows) for j in range(columns))
            < DYKSTRA_TOLERANCE
        ):
            break
    return tuple(tuple(row) for row in fit)
