"""Which uncertain input drives an output: partial rank correlation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from hepatica.core.errors import InputError
from hepatica.core.findings import NotEvaluable
from hepatica.core.geometry import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One input's grip on an output.

    Parameters
    ----------
    name
        Input.
    correlation
        Partial rank correlation, -1 to 1.
    """

    name: str
    correlation: float


def rank_drivers(
    inputs: FloatArray, output: FloatArray, *, names: tuple[str, ...]
) -> tuple[Driver, ...] | NotEvaluable:
    """Rank inputs by partial rank correlation with an output, strongest first.

    Ranks of the other inputs are regressed out of both; what is left is correlated.

    Parameters
    ----------
    inputs
        (draws, inputs); constant columns are left out.
    output
        (draws,).
    names
        Name of each column.

    Examples
    --------
    >>> x = np.random.default_rng(1).random((60, 2))
    >>> [driver.name for driver in rank_drivers(x, np.exp(3 * x[:, 1]), names=("a", "b"))]
    ['b', 'a']
    """
    if inputs.shape != (output.size, len(names)):
        raise InputError(
            expected=f"{output.size} draws of {len(names)} inputs", given=f"{inputs.shape}", where="ranking"
        )
    vary = [n for n in range(len(names)) if np.ptp(inputs[:, n]) > 0]
    if output.size < len(vary) + 4:
        return NotEvaluable(reason=f"{output.size} draws are too few to tell {len(vary)} inputs apart")
    if np.ptp(output) == 0:
        return NotEvaluable(reason="the output is the same in every draw")
    ranks = stats.rankdata(inputs[:, vary], axis=0)
    target = stats.rankdata(output)
    drivers = []
    for column, n in enumerate(vary):
        others = np.column_stack([np.ones(output.size), np.delete(ranks, column, axis=1)])
        left = [v - others @ np.linalg.lstsq(others, v, rcond=None)[0] for v in (ranks[:, column], target)]
        norm = float(np.linalg.norm(left[0]) * np.linalg.norm(left[1]))
        drivers.append(
            Driver(name=names[n], correlation=float(left[0] @ left[1]) / norm if norm > 0 else 0.0)
        )
    return tuple(sorted(drivers, key=lambda driver: -abs(driver.correlation)))
