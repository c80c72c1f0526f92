"""Baskets against closed forms, adaptive quadrature and their own symmetries."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest
from scipy import integrate, special, stats

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.phase2.basket import BASKET_METHODS, BasketPrior, assess_baskets, simulate_baskets

GRID_TOLERANCE = 2e-3  # forty midpoints of the spread, sixty-one of the mean
LINE_TOLERANCE = 1e-4  # midpoint rule on 400 logits
RESPONSES, COUNTS = (2, 3, 3, 0, 1), (24, 22, 18, 10, 5)


@pytest.mark.requirement("E-baskets")
def test_independent_baskets_are_beta_posteriors():
    found = assess_baskets(RESPONSES, COUNTS, p0=0.1, method="independent")
    assert found == pytest.approx(
        [stats.beta.sf(0.1, 1 + x, 1 + n - x) for x, n in zip(RESPONSES, COUNTS)], abs=1e-10
    )


@pytest.mark.requirement("E-baskets")
def test_a_basket_that_is_never_exchangeable_is_a_line_integral():
    prior = BasketPrior(exchangeable_weight=0.0, alone_sd=1.5)
    centre = log(0.1 / 0.9)

    def kernel(t):
        p = float(special.expit(t))
        return p**3 * (1 - p) ** 15 * exp(-0.5 * ((t - centre) / 1.5) ** 2)

    total = integrate.quad(kernel, centre - 12, centre + 12, epsabs=1e-16, limit=300)[0]
    above = integrate.quad(kernel, centre, centre + 12, epsabs=1e-16, limit=300)[0]
    found = assess_baskets((3, 0), (18, 10), p0=0.1, method="exnex", prior=prior)
    assert found[0] == pytest.approx(above / total, abs=LINE_TOLERANCE)


@pytest.mark.requirement("E-baskets")
def test_one_hierarchical_basket_equals_adaptive_quadrature():
    centre = log(0.2 / 0.8)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    weights = weights / weights.sum()

    def given_spread(s):
        sd = np.sqrt(4.0 + s * s)  # mean and logit integrated together: normal with the sum of variances
        t = centre + sd * nodes
        p = special.expit(t)
        like = p**4 * (1 - p) ** 8
        fine = integrate.quad(
            lambda t: stats.norm.pdf(t, centre, sd) * special.expit(t) ** 4 * (1 - special.expit(t)) ** 8,
            centre,
            centre + 12,
        )[0]
        return float(weights @ like), fine

    spreads = (np.arange(60) + 0.5) * 4 / 60
    hyper = np.exp(-0.5 * spreads**2)
    total, above = (
        sum(h * v for h, v in zip(hyper, column)) for column in zip(*(given_spread(s) for s in spreads))
    )
    found = assess_baskets((4,), (12,), p0=0.2, method="hierarchical")
    assert found[0] == pytest.approx(above / total, abs=GRID_TOLERANCE)


@pytest.mark.requirement("E-baskets")
@pytest.mark.parametrize("method", BASKET_METHODS)
def test_baskets_do_not_depend_on_their_order_and_rise_with_their_own_responses(method):
    found = assess_baskets(RESPONSES, COUNTS, p0=0.1, method=method)
    turned = assess_baskets(RESPONSES[::-1], COUNTS[::-1], p0=0.1, method=method)
    assert turned[::-1] == pytest.approx(found, abs=1e-10)
    more = assess_baskets((4, *RESPONSES[1:]), COUNTS, p0=0.1, method=method)
    assert more[0] > found[0]


@pytest.mark.requirement("E-baskets")
def test_borrowing_lifts_a_small_basket_when_the_others_respond_and_costs_type_one_error_when_one_differs():
    for method in ("hierarchical", "exnex"):
        alone = assess_baskets((1,), (5,), p0=0.2, method=method)[0]
        assert assess_baskets((1, 12, 12), (5, 20, 20), p0=0.2, method=method)[0] > alone
    settings = {"p0": 0.2, "cutoff": 0.95, "trials": 300, "seed": 9}
    truth = (0.2, 0.5, 0.5, 0.5)
    never = BasketPrior(exchangeable_weight=0.0)
    lone = simulate_baskets((12,) * 4, truth, method="exnex", prior=never, **settings)
    shared = simulate_baskets((12,) * 4, truth, method="hierarchical", **settings)
    assert shared[0] > lone[0]
    assert sum(shared[1:]) > sum(lone[1:])


@pytest.mark.requirement("E-impossible-input")
def test_impossible_baskets_are_refused():
    with pytest.raises(InputError):
        assess_baskets((3,), (2,), p0=0.1, method="independent")
    with pytest.raises(InputError):
        assess_baskets((1, 2), (5,), p0=0.1, method="independent")
    with pytest.raises(NotFoundError):
        assess_baskets((1,), (5,), p0=0.1, method="pooled")
    with pytest.raises(InputError):
        BasketPrior(mean_sd=0.0)
