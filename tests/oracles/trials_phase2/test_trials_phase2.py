"""Phase II designs, inference and intervals against printed tables and exact enumeration."""

from __future__ import annotations

from functools import cache
from itertools import product

import pytest
from scipy import stats

from hepatica.core.errors import InputError, NotFoundError
from hepatica.trials.phase2.bop2 import find_bop2_design, follow_looks
from hepatica.trials.phase2.inference import infer_two_stage
from hepatica.trials.phase2.intervals import INTERVAL_METHODS, derive_interval
from hepatica.trials.phase2.predictive import (
    PredictiveSetting,
    find_success_limit,
    list_futility_limits,
    measure_predictive_probability,
)
from hepatica.trials.phase2.simon import find_simon_designs, list_admissible_designs, measure_two_stage
from hepatica.trials.phase2.single_stage import find_one_stage_design

PRINTED_EN = 0.051  # one decimal printed
PRINTED = 5.1e-5  # four decimals printed
ROUNDING = 1e-9

SIMON_1989 = [
    (0.05, 0.10, 0.10, (0, 9, 2, 24, 14.5), (0, 13, 2, 20, 16.4)),
    (0.05, 0.05, 0.20, (0, 9, 2, 17, 12.0), (0, 12, 2, 16, 13.8)),
    (0.05, 0.05, 0.10, (0, 9, 3, 30, 16.8), (0, 15, 3, 25, 20.4)),
    (0.10, 0.10, 0.10, (1, 12, 5, 35, 19.8), (1, 16, 4, 25, 20.4)),
    (0.10, 0.05, 0.20, (1, 10, 5, 29, 15.0), (1, 15, 5, 25, 19.5)),
    (0.10, 0.05, 0.10, (2, 18, 6, 35, 22.5), (2, 22, 6, 33, 26.2)),
    (0.20, 0.10, 0.10, (3, 17, 10, 37, 26.0), (3, 19, 10, 36, 28.3)),
    (0.20, 0.05, 0.20, (3, 13, 12, 43, 20.6), (4, 18, 10, 33, 22.3)),
    (0.20, 0.05, 0.10, (4, 19, 15, 54, 30.4), (5, 24, 13, 45, 31.2)),
    (0.30, 0.10, 0.10, (7, 22, 17, 46, 29.9), (7, 28, 15, 39, 35.0)),
    (0.30, 0.05, 0.20, (5, 15, 18, 46, 23.6), (6, 19, 16, 39, 25.7)),
    (0.30, 0.05, 0.10, (8, 24, 24, 63, 34.7), (7, 24, 21, 53, 36.6)),
    (0.40, 0.10, 0.10, (7, 18, 22, 46, 30.2), (11, 28, 20, 41, 33.8)),
    (0.40, 0.05, 0.20, (7, 16, 23, 46, 24.5), (17, 34, 20, 39, 34.4)),
    (0.40, 0.05, 0.10, (11, 25, 32, 66, 36.0), (12, 29, 27, 54, 38.1)),
]


@pytest.mark.requirement("E-simon")
@pytest.mark.parametrize(("p0", "alpha", "beta", "optimal", "minimax"), SIMON_1989)
def test_simon_designs_are_those_of_the_1989_table(p0, alpha, beta, optimal, minimax):
    found = find_simon_designs(p0, round(p0 + 0.2, 2), alpha=alpha, beta=beta)
    for design, printed in ((found.optimal, optimal), (found.minimax, minimax)):
        assert (design.r1, design.n1, design.r, design.n) == printed[:4]
        assert design.en == pytest.approx(printed[4], abs=PRINTED_EN)
        assert design.alpha <= alpha and design.power >= 1 - beta


@pytest.mark.requirement("E-simon")
def test_attained_errors_agree_with_direct_sums_and_no_smaller_design_exists():
    found = find_simon_designs(0.1, 0.3, alpha=0.05, beta=0.2)
    for design in (found.optimal, found.minimax):
        pet, alpha = measure_two_stage(design.r1, design.n1, design.r, design.n, p=0.1)
        _, power = measure_two_stage(design.r1, design.n1, design.r, design.n, p=0.3)
        assert (pet, alpha, power) == pytest.approx((design.pet, design.alpha, design.power), abs=ROUNDING)
        assert design.pet == pytest.approx(stats.binom.cdf(design.r1, design.n1, 0.1), abs=ROUNDING)
        assert design.en == pytest.approx(design.n1 + (1 - pet) * (design.n - design.n1), abs=ROUNDING)
    best = min(
        n1 + (1 - stats.binom.cdf(r1, n1, 0.1)) * (n - n1)
        for n in range(20, 30)
        for n1 in range(5, 16)
        for r1 in range(3)
        for r in range(3, 7)
        if measure_two_stage(r1, n1, r, n, p=0.1)[1] <= 0.05
        and measure_two_stage(r1, n1, r, n, p=0.3)[1] >= 0.8
    )
    assert best == pytest.approx(found.optimal.en, abs=ROUNDING)


@pytest.mark.requirement("E-simon")
def test_admissible_designs_run_from_minimax_to_optimal():
    rows = list_admissible_designs(0.1, 0.3, alpha=0.05, beta=0.2)
    designs = [(row.design.r1, row.design.n1, row.design.r, row.design.n) for row in rows]
    assert designs == [(1, 15, 5, 25), (1, 12, 5, 26), (1, 11, 5, 27), (1, 10, 5, 29)]
    assert rows[0].q_from == pytest.approx(0.7323, abs=PRINTED)
    assert (rows[0].q_to, rows[-1].q_from) == (1.0, 0.0)
    for row in rows:
        q = (row.q_from + row.q_to) / 2
        loss = [q * other.design.n + (1 - q) * other.design.en for other in rows]
        assert min(loss) == pytest.approx(q * row.design.n + (1 - q) * row.design.en, abs=ROUNDING)


@pytest.mark.requirement("E-single-stage")
@pytest.mark.parametrize(
    ("p0", "p1", "alpha", "beta", "n", "reject_from"),
    [
        (0.05, 0.2, 0.05, 0.2, 27, 4),
        (0.1, 0.3, 0.05, 0.2, 25, 6),
        (0.2, 0.4, 0.05, 0.2, 35, 12),
        (0.1, 0.3, 0.05, 0.1, 33, 7),
    ],
)
def test_one_stage_designs_are_exact(p0, p1, alpha, beta, n, reject_from):
    design = find_one_stage_design(p0, p1, alpha=alpha, beta=beta)
    assert (design.n, design.r + 1) == (n, reject_from)
    for size in range(1, n):
        k = next(k for k in range(size + 2) if stats.binom.sf(k - 1, size, p0) <= alpha)
        assert stats.binom.sf(k - 1, size, p1) < 1 - beta


def outcomes(r1, n1, n):
    """Every possible end of a two-stage trial: stage, responses, ways."""
    for k in range(n1 + 1):
        if k <= r1:
            yield 1, k, lambda p, k=k: stats.binom.pmf(k, n1, p)
            continue
        for m in range(n - n1 + 1):
            yield 2, k + m, lambda p, k=k, m=m: stats.binom.pmf(k, n1, p) * stats.binom.pmf(m, n - n1, p)


@cache
def infer_once(responses, stage):
    return infer_two_stage(responses, r1=1, n1=10, n=29, p0=0.1, stage=stage, conf=0.9)


@pytest.mark.requirement("E-inference")
@pytest.mark.parametrize("p", [0.05, 0.1, 0.3, 0.6])
def test_the_estimate_after_two_stages_is_unbiased_and_the_naive_one_is_not(p):
    umvue = naive = 0.0
    for stage, responses, chance in outcomes(1, 10, 29):
        result = infer_once(responses, stage)
        umvue += chance(p) * result.umvue
        naive += chance(p) * result.naive
    assert umvue == pytest.approx(p, abs=ROUNDING)
    assert naive < p - 1e-4


@pytest.mark.requirement("E-inference")
def test_p_value_and_interval_agree_with_the_decision_of_the_design():
    # reject above r = 5: the p value is at most the attained alpha exactly there
    alpha = find_simon_designs(0.1, 0.3, alpha=0.05, beta=0.2).optimal.alpha
    for stage, responses, _ in outcomes(1, 10, 29):
        result = infer_once(responses, stage)
        assert (result.p_value <= alpha + ROUNDING) == (stage == 2 and responses > 5)
        assert (result.lower > 0.1) == (result.p_value < 0.05)
        assert result.lower <= result.umvue <= result.upper
    assert infer_two_stage(6, r1=1, n1=10, n=29, p0=0.1).p_value == pytest.approx(alpha, abs=ROUNDING)


@pytest.mark.requirement("E-inference")
def test_responses_that_do_not_fit_the_design_are_refused():
    for responses, stage in ((0, 2), (4, 1), (30, 2), (-1, 1)):
        with pytest.raises(InputError):
            infer_two_stage(responses, r1=1, n1=10, n=29, p0=0.1, stage=stage)


@pytest.mark.requirement("E-predictive")
def test_predictive_probability_is_that_of_the_worked_example():
    setting = PredictiveSetting(n_max=40, p0=0.6, theta=0.9, prior=(0.6, 0.4))
    assert measure_predictive_probability(16, 23, setting=setting) == pytest.approx(0.5656, abs=PRINTED)
    limit = find_success_limit(setting)
    assert measure_predictive_probability(limit, 40, setting=setting) == 1.0
    assert measure_predictive_probability(limit - 1, 40, setting=setting) == 0.0
    rows = dict(list_futility_limits(setting=setting, theta_low=0.1, looks=(10, 20, 30)))
    for n, stop in rows.items():
        assert measure_predictive_probability(stop, n, setting=setting) < 0.1
        assert measure_predictive_probability(stop + 1, n, setting=setting) >= 0.1


@pytest.mark.requirement("E-bop2")
def test_bop2_keeps_its_errors_by_enumeration_of_every_path():
    design = find_bop2_design(0.2, 0.5, alpha=0.1, looks=(3, 6, 9))
    for p, attained in ((0.2, design.alpha), (0.5, design.power)):
        total = size = 0.0
        for path in product((0, 1), repeat=9):
            chance = p ** sum(path) * (1 - p) ** (9 - sum(path))
            stops = [n for n, limit in zip(design.looks, design.stop_if_le) if sum(path[:n]) <= limit]
            total += chance * (not stops)
            size += chance * (stops[0] if stops else 9)
        assert total == pytest.approx(attained, abs=ROUNDING)
        assert follow_looks(design.looks, design.stop_if_le, p=p)[1] == pytest.approx(size, abs=ROUNDING)
    assert design.alpha <= 0.1
    assert list(design.stop_if_le) == sorted(design.stop_if_le)


NEWCOMBE = [
    (81, 263, "wilson", 0.2553, 0.3662),
    (81, 263, "wilson-cc", 0.2535, 0.3682),
    (81, 263, "clopper-pearson", 0.2527, 0.3676),
    (15, 148, "wilson", 0.0624, 0.1605),
    (15, 148, "wilson-cc", 0.0598, 0.1644),
    (15, 148, "clopper-pearson", 0.0578, 0.1617),
    (0, 20, "wilson", 0.0, 0.1611),
    (0, 20, "wilson-cc", 0.0, 0.2005),
    (0, 20, "clopper-pearson", 0.0, 0.1684),
    (1, 29, "wilson", 0.0061, 0.1718),
    (1, 29, "wilson-cc", 0.0018, 0.1963),
    (1, 29, "clopper-pearson", 0.0009, 0.1776),
]


@pytest.mark.requirement("E-intervals")
@pytest.mark.parametrize(("x", "n", "method", "lower", "upper"), NEWCOMBE)
def test_intervals_are_those_of_newcombe(x, n, method, lower, upper):
    interval = derive_interval(x, n, method=method)
    assert (interval.lower, interval.upper) == pytest.approx((lower, upper), abs=PRINTED)
    assert interval.estimate == x / n


@pytest.mark.requirement("E-intervals")
@pytest.mark.parametrize(
    ("x", "n", "lower", "upper"),
    [(2, 24, 1.0, 27.0), (3, 22, 2.9, 34.9), (3, 18, 3.6, 41.4), (0, 10, 0.0, 30.8), (1, 5, 0.5, 71.6)],
)
def test_response_rates_of_the_founding_trial_have_their_printed_limits(x, n, lower, upper):
    interval = derive_interval(x, n)
    assert (100 * interval.lower, 100 * interval.upper) == pytest.approx((lower, upper), abs=0.051)


@pytest.mark.requirement("E-intervals")
def test_conventions_at_the_ends():
    assert derive_interval(0, 10, method="jeffreys").lower == 0.0
    assert derive_interval(10, 10, method="jeffreys").upper == 1.0
    jeffreys = derive_interval(3, 10, method="jeffreys")
    assert (jeffreys.lower, jeffreys.upper) == pytest.approx(
        tuple(stats.beta.ppf([0.025, 0.975], 3.5, 7.5)), abs=ROUNDING
    )
    assert derive_interval(0, 10, method="agresti-coull").lower == 0.0
    assert derive_interval(10, 10, method="agresti-coull").upper == 1.0
    z = stats.norm.ppf(0.975)
    centre = (3 + z * z / 2) / (10 + z * z)
    half = z * (centre * (1 - centre) / (10 + z * z)) ** 0.5
    ac = derive_interval(3, 10, method="agresti-coull")
    assert (ac.lower, ac.upper) == pytest.approx((centre - half, centre + half), abs=ROUNDING)


@pytest.mark.requirement("E-intervals")
@pytest.mark.parametrize("method", INTERVAL_METHODS)
def test_intervals_mirror_when_events_and_non_events_change_places(method):
    for n in (1, 7, 30):
        for x in range(n + 1):
            one, other = derive_interval(x, n, method=method), derive_interval(n - x, n, method=method)
            assert one.lower == pytest.approx(1 - other.upper, abs=ROUNDING)
            assert 0.0 <= one.lower <= one.estimate <= one.upper <= 1.0 or method == "jeffreys"


@pytest.mark.requirement("E-impossible-input")
def test_impossible_phase_two_input_is_refused():
    with pytest.raises(InputError):
        find_simon_designs(0.3, 0.1, alpha=0.05, beta=0.2)
    with pytest.raises(InputError):
        find_simon_designs(0.1, 1.3, alpha=0.05, beta=0.2)
    with pytest.raises(NotFoundError, match="raise nmax"):
        find_simon_designs(0.1, 0.15, alpha=0.05, beta=0.2, nmax=60)
    for x, n in ((5, 4), (-1, 4), (0, 0)):
        with pytest.raises(InputError):
            derive_interval(x, n)
    with pytest.raises(NotFoundError):
        derive_interval(1, 4, method="wald")
