"""BOP2 for two endpoints at once (Zhou, Lee and Yuan 2017, doi:10.1002/sim.7338).

Every patient falls into one of four cells: both endpoints met, the first alone, the second alone, neither. The
cells have a Dirichlet prior worth one patient, with the null probabilities as its mean, so each endpoint has a
beta posterior. With response and toxicity the trial goes on while both margins hold; with two kinds of
response (co-primary, or nested such as CR and CR or PR) while at least one does. Every probability is exact:
the pair of counts is followed from look to look.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.beta_distribution import measure_beta_survival
from hepatica.trials.design import check_probability
from hepatica.trials.phase2.bop2 import TIE_TOLERANCE, list_limits

Limits = tuple[int, ...]


class PairKind(StrEnum):
    """How two endpoints make one decision."""

    EFFICACY_TOXICITY = "efficacy-toxicity"
    """Go on while response is high enough and toxicity low enough."""
    CO_PRIMARY = "co-primary"
    """Go on while at least one of two responses is high enough."""
    NESTED = "nested"
    """The same, the first response being part of the second, for example CR, and CR or PR."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """Probabilities of the four cells.

    Parameters
    ----------
    both, first, second, neither
        Both endpoints, the first alone, the second alone, neither; they sum to 1.
    """

    both: float
    first: float
    second: float
    neither: float

    @property
    def margins(self) -> tuple[float, float]:
        """Probability of the first and of the second endpoint."""
        return self.both + self.first, self.both + self.second

    @classmethod
    def from_margins(cls, first: float, second: float, *, kind: PairKind) -> Cells:
        """Return independent cells with these margins; nested ones for a nested pair.

        Raises
        ------
        InputError
            If a margin is not a probability, or the first of a nested pair is not below the second.

        Examples
        --------
        >>> Cells.from_margins(0.5, 0.2, kind=PairKind.EFFICACY_TOXICITY).both
        0.1
        """
        check_probability(first, name="first endpoint")
        check_probability(second, name="second endpoint")
        if kind is PairKind.NESTED:
            if first > second:
                raise InputError(
                    expected="a first endpoint that is part of the second",
                    given=f"{first:g} above {second:g}",
                    where="nested endpoints",
                )
            return cls(both=first, first=0.0, second=second - first, neither=1 - second)
        return cls(
            both=first * second,
            first=first * (1 - second),
            second=(1 - first) * second,
            neither=(1 - first) * (1 - second),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bop2PairDesign:
    """A BOP2 design for two endpoints.

    Parameters
    ----------
    kind
        How the endpoints make one decision.
    lambda_, gamma
        Parameters of the cutoff lambda (n / N) ** gamma.
    looks
        Patients at each look; the last is the total.
    first_fails_if_le
        First endpoint: at each look it fails with at most this many patients; -1 for never.
    second_fails_if
        Second endpoint: at most this many, or, for toxicity, at least this many; -1, or above the number of
        patients, for never.
    alpha, power
        Exact probability of success under null and alternative.
    en0, en1
        Expected sizes under null and alternative.
    first_only, second_only
        Exact probability of success where only the first, or only the second endpoint is as in the
        alternative.
    """

    kind: PairKind
    lambda_: float
    gamma: float
    looks: tuple[int, ...]
    first_fails_if_le: Limits
    second_fails_if: Limits
    alpha: float
    power: float
    en0: float
    en1: float
    first_only: float | None
    second_only: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        toxic = self.kind is PairKind.EFFICACY_TOXICITY
        key = "second_fails_if_ge" if toxic else "second_fails_if_le"
        rows = []
        for n, a, b in zip(self.looks, self.first_fails_if_le, self.second_fails_if):
            impossible = b > n if toxic else b < 0
            rows.append({"n": n, "first_fails_if_le": a if a >= 0 else None, key: None if impossible else b})
        return {
            "endpoint": str(self.kind),
            "stop_when": "either fails" if toxic else "both fail",
            "lambda": self.lambda_,
            "gamma": self.gamma,
            "boundaries": rows,
            "alpha": self.alpha,
            "power": self.power,
            "en0": self.en0,
            "en1": self.en1,
            "success_if_first_only": self.first_only,
            "success_if_second_only": self.second_only,
        }


def find_bop2_pair(
    null: tuple[float, float],
    alternative: tuple[float, float],
    *,
    kind: PairKind,
    alpha: float,
    looks: tuple[int, ...],
) -> Bop2PairDesign:
    """Return the BOP2 design for two endpoints with the largest power under a type I limit.

    Parameters
    ----------
    null, alternative
        Probability of the first and second endpoint under each hypothesis; the limits that the posterior is
        held against are those of the null.
    kind
        How the endpoints make one decision.
    alpha
        Largest probability of success under the null.
    looks
        Patients at each look, increasing; the last is the total.

    Raises
    ------
    InputError
        If the alternative is not better than the null in both endpoints, or looks do not rise.
    NotFoundError
        If no pair of parameters meets the type I limit.

    Examples
    --------
    >>> design = find_bop2_pair((0.2, 0.4), (0.5, 0.2), kind=PairKind.EFFICACY_TOXICITY, alpha=0.1, looks=(8, 16))
    >>> design.alpha <= 0.1 < design.power
    True
    """
    check_probability(alpha, name="alpha")
    toxic = kind is PairKind.EFFICACY_TOXICITY
    better = alternative[1] < null[1] if toxic else alternative[1] > null[1]
    if alternative[0] <= null[0] or not better or not looks or looks[0] < 1:
        raise InputError(
            expected="an alternative better than the null in both endpoints, and looks",
            given=f"{null} against {alternative}, looks {looks}",
            where="BOP2",
        )
    if any(a >= b for a, b in pairwise(looks)):
        raise InputError(expected="increasing looks", given=str(looks), where="BOP2")
    cells = {
        name: Cells.from_margins(*point, kind=kind) for name, point in (("h0", null), ("h1", alternative))
    }
    follow0, follow1 = (_Follower(cells[name], looks, toxic=toxic) for name in ("h0", "h1"))
    best: tuple[float, float] | None = None
    chosen: tuple[Limits, tuple[float, float]] | None = None
    for limits, cutoffs in list_limits(_tabulate(null, looks, toxic=toxic), looks):
        type_one, en0 = follow0(limits)
        if type_one > alpha:
            continue
        power, _ = follow1(limits)
        if (
            best is None
            or power > best[0] + TIE_TOLERANCE
            or (power >= best[0] - TIE_TOLERANCE and en0 < best[1])
        ):
            best, chosen = (power, en0), (limits, cutoffs)
    if chosen is None:
        raise NotFoundError(
            expected="a stopping limit that keeps the type I error",
            given=f"none for alpha {alpha:g}",
            where="BOP2",
            action="raise the number of patients or alpha",
        )
    limits, (level, gamma) = chosen
    corners = ((alternative[0], null[1]), (null[0], alternative[1]))
    first_only, second_only = (_measure_corner(corner, limits, looks, kind=kind) for corner in corners)
    first, second = limits[: len(looks)], limits[len(looks) :]
    return Bop2PairDesign(
        kind=kind,
        lambda_=level,
        gamma=gamma,
        looks=looks,
        first_fails_if_le=first,
        second_fails_if=tuple(n - b for n, b in zip(looks, second)) if toxic else second,
        alpha=follow0(limits)[0],
        power=follow1(limits)[0],
        en0=follow0(limits)[1],
        en1=follow1(limits)[1],
        first_only=first_only,
        second_only=second_only,
    )


def _measure_corner(
    point: tuple[float, float], limits: Limits, looks: tuple[int, ...], *, kind: PairKind
) -> float | None:
    """Return the probability of success at a mixed point; None where nesting makes it impossible."""
    if kind is PairKind.NESTED and point[0] > point[1]:
        return None
    toxic = kind is PairKind.EFFICACY_TOXICITY
    return _Follower(Cells.from_margins(*point, kind=kind), looks, toxic=toxic)(limits)[0]


def _tabulate(
    null: tuple[float, float], looks: tuple[int, ...], *, toxic: bool
) -> tuple[list[Any], list[Any]]:
    """Return for each endpoint and look P(it is met | count); toxicity is counted by patients without it."""
    tables = []
    for floor in (null[0], 1 - null[1] if toxic else null[1]):
        survive: Callable[..., float] = partial(measure_beta_survival, floor)
        tables.append(
            [np.array([survive(a=floor + x, b=1 - floor + n - x) for x in range(n + 1)]) for n in looks]
        )
    return tables[0], tables[1]


class _Follower:
    """Follows the pair of counts from look to look; starts met before are not followed again.

    The second count is of patients without toxicity where it is toxicity, so both counts are good when high.
    """

    def __init__(self, cells: Cells, looks: tuple[int, ...], *, toxic: bool) -> None:
        kernel = np.array([[cells.neither, cells.second], [cells.first, cells.both]])
        self._kernel = kernel[:, ::-1] if toxic else kernel
        self._looks = looks
        self._both_needed = toxic
        self._steps = [self._power(b - a) for a, b in zip((0, *looks[:-1]), looks)]
        self._met: dict[Limits, tuple[Any, float]] = {}

    def __call__(self, limits: Limits) -> tuple[float, float]:
        """Return probability of success, and expected size."""
        count = len(self._looks)
        alive, size = self._follow(tuple(zip(limits[:count], limits[count:])))
        return float(alive.sum()), size

    def _follow(self, limits: tuple[tuple[int, int], ...]) -> tuple[Any, float]:
        if not limits:
            return np.ones((1, 1)), 0.0
        key: Limits = tuple(value for pair in limits for value in pair)
        if key not in self._met:
            before, size = self._follow(limits[:-1])
            look = len(limits) - 1
            treated = self._looks[look] - (self._looks[look - 1] if look else 0)
            size += float(before.sum()) * treated
            alive = _convolve(before, self._steps[look])
            a, b = limits[-1]
            if self._both_needed:
                alive[: a + 1], alive[:, : b + 1] = 0.0, 0.0
            else:
                alive[: a + 1, : b + 1] = 0.0
            self._met[key] = (alive, size)
        return self._met[key]

    def _power(self, patients: int) -> Any:
        result = np.ones((1, 1))
        for _ in range(patients):
            result = _convolve(result, self._kernel)
        return result


def _convolve(left: Any, right: Any) -> Any:
    """Return the distribution of the sum of two independent pairs of counts."""
    small, large = (left, right) if left.size < right.size else (right, left)
    out = np.zeros((left.shape[0] + right.shape[0] - 1, left.shape[1] + right.shape[1] - 1))
    rows, columns = large.shape
    for i in range(small.shape[0]):
        for j in range(small.shape[1]):
            if small[i, j]:
                out[i : i + rows, j : j + columns] += small[i, j] * large
    return out
