"""BOP2 for pairs of endpoints, and the search for a size, against enumeration of every path."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import linprog

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.phase2.bop2 import find_bop2_design, find_bop2_size, measure_most_power
from hepatica.trials.phase2.bop2_pair import Cells, PairKind, find_bop2_pair

ROUNDING = 1e-9
CELLS = ((1, 1), (1, 0), (0, 1), (0, 0))
CASES = [
    (PairKind.EFFICACY_TOXICITY, (0.2, 0.4), (0.6, 0.15)),
    (PairKind.CO_PRIMARY, (0.1, 0.2), (0.4, 0.5)),
    (PairKind.NESTED, (0.1, 0.3), (0.4, 0.6)),
]


def walk(kind, looks, passes, point):
    """Return probability of success and expected size over every path of both endpoints."""
    cells = Cells.from_margins(*point, kind=kind)
    chance = (cells.both, cells.first, cells.second, cells.neither)
    total = size = 0.0
    for path in product(range(4), repeat=looks[-1]):
        weight = np.prod([chance[c] for c in path])
        if weight == 0:
            continue
        stops = [
            n
            for n in looks
            if not passes(n, sum(CELLS[c][0] for c in path[:n]), sum(CELLS[c][1] for c in path[:n]))
        ]
        total += weight * (not stops)
        size += weight * (stops[0] if stops else looks[-1])
    return total, size


def by_posterior(kind, null, level, gamma, looks):
    """Decide from posterior tails by scipy, as the paper writes the rule."""

    def passes(n, x, y):
        cutoff = level * (n / looks[-1]) ** gamma
        first = stats.beta.sf(null[0], null[0] + x, 1 - null[0] + n - x) >= cutoff
        if kind is PairKind.EFFICACY_TOXICITY:
            return first and stats.beta.cdf(null[1], null[1] + y, 1 - null[1] + n - y) >= cutoff
        return first or stats.beta.sf(null[1], null[1] + y, 1 - null[1] + n - y) >= cutoff

    return passes


@pytest.mark.requirement("E-bop2-pairs")
@pytest.mark.parametrize(("kind", "null", "alternative"), CASES)
def test_characteristics_of_a_pair_are_those_of_every_path(kind, null, alternative):
    looks = (3, 6)
    design = find_bop2_pair(null, alternative, kind=kind, alpha=0.15, looks=looks)
    toxic = kind is PairKind.EFFICACY_TOXICITY
    limits = dict(zip(looks, zip(design.first_fails_if_le, design.second_fails_if)))

    def passes(n, x, y):
        first, second = x > limits[n][0], (y < limits[n][1] if toxic else y > limits[n][1])
        return first and second if toxic else first or second

    for point, attained, size in ((null, design.alpha, design.en0), (alternative, design.power, design.en1)):
        assert walk(kind, looks, passes, point) == pytest.approx((attained, size), abs=ROUNDING)
    for point, attained in (
        ((alternative[0], null[1]), design.first_only),
        ((null[0], alternative[1]), design.second_only),
    ):
        if attained is not None:
            assert walk(kind, looks, passes, point)[0] == pytest.approx(attained, abs=ROUNDING)
    rule = by_posterior(kind, null, design.lambda_, design.gamma, looks)
    for n in looks:
        for x, y in product(range(n + 1), repeat=2):
            if kind is not PairKind.NESTED or x <= y:
                assert rule(n, x, y) == passes(n, x, y)


@pytest.mark.requirement("E-bop2-pairs")
def test_no_pair_of_parameters_on_the_grid_has_more_power_under_the_type_i_limit():
    kind, null, alternative = CASES[0]
    looks = (2, 5)
    design = find_bop2_pair(null, alternative, kind=kind, alpha=0.15, looks=looks)
    rates, seen = [], set()
    for level in np.round(np.arange(0.05, 1.0, 0.1), 2):
        for gamma in np.round(np.arange(0.0, 1.01, 0.5), 2):
            rule = by_posterior(kind, null, level, gamma, looks)
            key = tuple(rule(n, x, y) for n in looks for x in range(n + 1) for y in range(n + 1))
            if key not in seen:
                seen.add(key)
                if walk(kind, looks, rule, null)[0] <= 0.15:
                    rates.append(walk(kind, looks, rule, alternative)[0])
    assert rates and max(rates) <= design.power + ROUNDING


@pytest.mark.requirement("E-bop2-pairs")
def test_a_pair_that_says_the_same_twice_is_the_design_for_one_endpoint():
    one = find_bop2_design(0.2, 0.45, alpha=0.1, looks=(8, 16, 24))
    pair = find_bop2_pair((0.2, 0.2), (0.45, 0.45), kind=PairKind.NESTED, alpha=0.1, looks=(8, 16, 24))
    assert pair.first_fails_if_le == pair.second_fails_if == one.stop_if_le
    assert (pair.alpha, pair.power, pair.en0) == pytest.approx((one.alpha, one.power, one.en0), abs=ROUNDING)


@pytest.mark.requirement("E-bop2-search")
def test_the_search_finds_the_least_total_that_reaches_the_power():
    found = find_bop2_size(0.2, 0.45, alpha=0.1, beta=0.2, first=6, every=6, nmax=60)
    assert found.alpha <= 0.1 and found.power >= 0.8
    for total in range(6, found.looks[-1]):
        try:
            smaller = find_bop2_design(0.2, 0.45, alpha=0.1, looks=(*range(6, total, 6), total))
        except NotFoundError:
            continue
        assert smaller.power < 0.8
    with pytest.raises(NotFoundError, match="power"):
        find_bop2_size(0.2, 0.25, alpha=0.05, beta=0.1, first=6, every=6, nmax=20)


@pytest.mark.requirement("E-bop2-search")
def test_the_bound_that_prunes_the_search_is_that_of_neyman_and_pearson():
    for n, p0, p1, alpha in ((10, 0.2, 0.4, 0.1), (25, 0.1, 0.3, 0.05), (4, 0.5, 0.6, 0.01)):
        null, real = stats.binom.pmf(np.arange(n + 1), n, p0), stats.binom.pmf(np.arange(n + 1), n, p1)
        best = linprog(-real, A_ub=[null], b_ub=[alpha], bounds=[(0, 1)] * (n + 1))
        assert measure_most_power(p0, p1, alpha=alpha, n=n) == pytest.approx(-best.fun, abs=1e-8)


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("kind", "null", "alternative", "looks"),
    [
        (PairKind.EFFICACY_TOXICITY, (0.2, 0.3), (0.4, 0.4), (5, 10)),
        (PairKind.CO_PRIMARY, (0.2, 0.3), (0.4, 0.2), (5, 10)),
        (PairKind.NESTED, (0.3, 0.2), (0.5, 0.6), (5, 10)),
        (PairKind.CO_PRIMARY, (0.2, 0.3), (0.4, 0.5), (10, 5)),
        (PairKind.CO_PRIMARY, (0.2, 0.3), (1.4, 0.5), (5, 10)),
    ],
)
def test_impossible_pairs_are_refused(kind, null, alternative, looks):
    with pytest.raises(InputError):
        find_bop2_pair(null, alternative, kind=kind, alpha=0.1, looks=looks)
