"""Gray's test and Fine-Gray regression against printed R output, brute force, reductions and simulation."""

from __future__ import annotations

import csv
from math import exp, log, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from hepatica.core.errors import InputError, NotConvergedError, NotFoundError
from hepatica.trials.endpoints.comparison import compare_log_rank, fit_cox
from hepatica.trials.endpoints.competing import estimate_incidence
from hepatica.trials.endpoints.fine_gray import fit_fine_gray
from hepatica.trials.endpoints.gray import compare_incidence

PRINTED = 5e-7  # six or seven decimals printed
PRINTED_INCIDENCE = 5e-8  # seven decimals printed
PRINTED_COEFFICIENT = 5e-5  # four significant digits printed
ROUNDING = 1e-9
SEARCH = 2e-5  # where a minimiser without derivatives stops
SAME_LIMIT = 0.03  # two consistent estimates of one variance, 2000 patients
STANDARD_ERRORS = 4.0  # the promise: within four standard errors
SETTINGS = settings(max_examples=25, deadline=None, derandomize=True)


@pytest.fixture(scope="module")
def simulated():
    with (Path(__file__).parent / "simulated_patients.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 100
    return rows


def _stratified(rows, column="time"):
    """Return Gray's statistics over two strata: scores and covariances add up."""
    scores, covariances = {}, {}
    for stratum in ("1", "2"):
        part = [row for row in rows if row["stratum"] == stratum]
        found = compare_incidence(
            [float(row[column]) for row in part],
            [int(row["kind"]) for row in part],
            [row["group"] for row in part],
        )
        for test in found:
            scores[test.cause] = scores.get(test.cause, 0) + np.array(test.score)
            covariances[test.cause] = covariances.get(test.cause, 0) + test.covariance
    return [float(scores[c][:-1] @ np.linalg.solve(covariances[c][:-1, :-1], scores[c][:-1])) for c in (1, 2)]


def draw(seed, n, *, groups=2, censoring=0.5, effect=0.0, ties=True, causes=2):
    """Draw competing times in groups of unequal size, on a coarse scale so that times tie."""
    rng = np.random.default_rng(seed)
    group = rng.choice(groups, size=n, p=np.arange(1, groups + 1) / np.arange(1, groups + 1).sum())
    kind = 1 + rng.integers(0, causes, n)
    time = rng.exponential(np.exp(-effect * group * (kind == 1)))
    stop = rng.exponential(1 / censoring, n) if censoring else np.full(n, np.inf)
    event = np.where(time <= stop, kind, 0)
    seen = np.minimum(time, stop)
    return (np.ceil(seen * 8) if ties else seen), event, group


@pytest.mark.requirement("E-gray")
@pytest.mark.parametrize(
    ("column", "without", "printed"),
    [
        ("time", "", (3.393977, 1.989511)),
        ("other_time", "", (1.214132, 3.269462)),
        ("time", "b", (3.5151549, 0.1400145)),
    ],
)
def test_gray_statistics_are_those_printed_by_r(simulated, column, without, printed):
    rows = [row for row in simulated if row["group"] != without]
    assert _stratified(rows, column) == pytest.approx(printed, abs=PRINTED)


@pytest.mark.requirement("E-competing-risks")
@pytest.mark.parametrize(
    ("cause", "printed"), [(1, (0.2352861, 0.3287068, 0.4247898)), (2, (0.2567862, 0.3931580, 0.4631781))]
)
def test_cumulative_incidence_is_that_printed_by_r(simulated, cause, printed):
    times, kinds = [float(row["time"]) for row in simulated], [int(row["kind"]) for row in simulated]
    curve = next(c for c in estimate_incidence(times, kinds) if c.cause == cause)
    found = [curve.incidence[np.searchsorted(curve.time, t, side="right") - 1] for t in (1, 2, 3)]
    assert found == pytest.approx(printed, abs=PRINTED_INCIDENCE)


@pytest.mark.requirement("E-fine-gray")
@pytest.mark.parametrize(
    ("names", "coefficients", "errors", "p"),
    [
        (("x1", "x2", "x3"), (-0.29130, -0.06346, -0.47510), (0.3698, 0.3566, 0.3544), (0.43, 0.86, 0.18)),
        (("x1",), (-0.1753,), (0.3540,), (0.62,)),
    ],
)
def test_fine_gray_coefficients_and_robust_errors_are_those_printed_by_r(
    simulated, names, coefficients, errors, p
):
    rows = [row for row in simulated if row["x1"]]
    assert len(simulated) - len(rows) == 3
    fit = fit_fine_gray(
        [float(row["time"]) for row in rows],
        [int(row["kind"]) for row in rows],
        np.array([[float(row[name]) for name in names] for row in rows]),
    )
    assert fit.coefficients == pytest.approx(coefficients, abs=PRINTED_COEFFICIENT)
    assert fit.standard_errors == pytest.approx(errors, abs=PRINTED_COEFFICIENT)
    assert fit.p == pytest.approx(p, abs=0.005)


def gray_by_loops(times, events, groups, cause):
    """Return scores and covariance from the sums of the paper, one time and one pair of groups after the other."""
    names = sorted(set(groups))
    size = len(names)
    moments = sorted({t for t, e in zip(times, events) if e > 0})
    state = []
    survival, incidence, pooled = [1.0] * size, [0.0] * size, 0.0
    for moment in moments:
        y = [sum(t >= moment and g == name for t, g in zip(times, groups)) for name in names]
        d1 = [
            sum(t == moment and e == cause and g == name for t, e, g in zip(times, events, groups))
            for name in names
        ]
        d2 = [
            sum(t == moment and e > 0 and e != cause and g == name for t, e, g in zip(times, events, groups))
            for name in names
        ]
        h = [y[k] / survival[k] if y[k] else 0.0 for k in range(size)]
        r = [h[k] * (1 - incidence[k]) for k in range(size)]
        entry = {"y": y, "d1": d1, "d2": d2, "h": h, "r": r, "s": list(survival), "f": pooled}
        pooled += sum(d1) / sum(h)
        for k in range(size):
            if y[k]:
                incidence[k] += survival[k] * d1[k] / y[k]
                survival[k] *= 1 - (d1[k] + d2[k]) / y[k]
        state.append(entry | {"after": list(survival), "f_after": pooled})
    score = [sum(s["d1"][i] - sum(s["d1"]) * s["r"][i] / sum(s["r"]) for s in state) for i in range(size)]

    def gain(s, i, k):
        return s["h"][i] * ((i == k) - s["h"][k] / sum(s["h"]))

    def reach(s, i, k):
        """The score of group i still to come through the pooled hazard, after this time."""
        return sum(
            gain(u, i, k) * sum(u["d1"]) / (sum(u["h"]) * (1 - u["f"])) for u in state[state.index(s) + 1 :]
        )

    covariance = np.zeros((size, size))
    for s in state:
        for k in range(size):
            if not s["y"][k]:
                continue
            ratio = (1 - s["f_after"]) / s["after"][k] if s["after"][k] > 0 else None
            n1 = sum(s["d1"])
            if n1:
                tie = 1 - (n1 - 1) / (sum(s["h"]) * s["s"][k] - 1) if n1 > 1 else 1.0
                noise = tie * s["s"][k] * n1 / (sum(s["h"]) * s["y"][k])
                lead = 1 - ratio if ratio is not None else 1.0
                parts = [gain(s, i, k) + lead * reach(s, i, k) for i in range(size)]
                covariance += noise * np.outer(parts, parts)
            if s["d2"][k] and ratio is not None:
                tie = 1 - (s["d2"][k] - 1) / (s["y"][k] - 1) if s["d2"][k] > 1 else 1.0
                noise = tie * s["s"][k] ** 2 * s["d2"][k] / s["y"][k] ** 2
                parts = [ratio * reach(s, i, k) for i in range(size)]
                covariance += noise * np.outer(parts, parts)
    return score, covariance


@pytest.mark.requirement("E-gray")
@pytest.mark.parametrize(("seed", "groups"), [(1, 2), (2, 3), (3, 2), (4, 4)])
def test_gray_score_and_variance_follow_the_sums_of_the_paper(seed, groups):
    times, events, group = draw(seed, 50, groups=groups)
    for found in compare_incidence(times, events, group):
        score, covariance = gray_by_loops(times.tolist(), events.tolist(), group.tolist(), found.cause)
        assert found.score == pytest.approx(score, abs=ROUNDING)
        assert np.asarray(found.covariance) == pytest.approx(covariance, abs=ROUNDING)
        gap = np.array(score)[:-1]
        assert found.chi2 == pytest.approx(gap @ np.linalg.solve(covariance[:-1, :-1], gap), rel=1e-8)
        assert sum(found.score) == pytest.approx(0.0, abs=ROUNDING)


@pytest.mark.requirement("E-gray")
def test_a_case_small_enough_for_pencil_and_paper():
    # a: event 1 at time 1, competing at 2.  b: competing at 1 (not seen before time 1), event 1 at time 3.
    # Time 1: R = (2, 2), one event: expected one half each. Time 3: only b is left with S = 1/2, F = 0, Y = 1:
    # R = 2; group a has no patient: R = 0. Expected (0, 1).
    found = compare_incidence([1.0, 2.0, 1.0, 3.0], [1, 2, 2, 1], ["a", "a", "b", "b"])[0]
    assert found.score == pytest.approx((1 - 0.5, 1 - 1.5), abs=ROUNDING)


@pytest.mark.requirement("E-gray")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_without_competing_events_the_score_is_that_of_the_log_rank_test(seed):
    times, events, group = draw(seed, 2000, causes=1, ties=False)
    gray = compare_incidence(times, events, group)[0]
    plain = compare_log_rank(times, events, group)
    gaps = np.array(plain.observed) - np.array(plain.expected)
    assert gray.score == pytest.approx(gaps, abs=1e-8)
    assert gray.chi2 == pytest.approx(plain.chi2, rel=SAME_LIMIT)  # same score, variance from other curves


@pytest.mark.requirement("E-gray")
def test_under_the_null_hypothesis_gray_rejects_at_its_level_and_its_variance_is_that_of_the_score():
    trials, level = 800, 0.05
    scores, variances, rejected = [], [], 0
    for seed in range(trials):
        times, events, group = draw(10_000 + seed, 120, ties=False)
        found = compare_incidence(times, events, group)[0]
        scores.append(found.score[0])
        variances.append(found.covariance[0, 0])
        rejected += found.p < level
    assert abs(rejected / trials - level) <= STANDARD_ERRORS * sqrt(level * (1 - level) / trials)
    spread, mean = np.var(scores), np.mean(variances)
    assert abs(spread - mean) <= STANDARD_ERRORS * spread * sqrt(2 / trials)
    assert abs(np.mean(scores)) <= STANDARD_ERRORS * sqrt(spread / trials)


@pytest.mark.requirement("E-gray")
@SETTINGS
@given(seed=st.integers(0, 10_000))
def test_gray_does_not_depend_on_labels_order_or_the_unit_of_time(seed):
    times, events, group = draw(seed, 40)
    if len(set(group.tolist())) < 2 or not {1, 2} <= set(events.tolist()):
        return
    plain = [g.chi2 for g in compare_incidence(times, events, group)]
    order = np.random.default_rng(seed).permutation(times.size)
    moved = compare_incidence(times[order] * 30.4, events[order], np.where(group[order] == 0, "z", "b"))
    assert [g.chi2 for g in moved] == pytest.approx(plain, rel=1e-7, abs=1e-10)


def weights(times, events, cause):
    """Return w[i, j]: weight of patient i in the risk set at the time of patient j."""
    n = len(times)

    def free(u):
        value = 1.0
        for moment in sorted({t for t, e in zip(times, events) if e == 0 and t < u}):
            at_risk = sum(t >= moment for t in times)
            value *= 1 - sum(t == moment and e == 0 for t, e in zip(times, events)) / at_risk
        return value

    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            if times[i] >= times[j]:
                found[i, j] = 1.0
            elif events[i] not in (0, cause):
                found[i, j] = free(times[j]) / free(times[i])
    return found


@pytest.mark.requirement("E-fine-gray")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fine_gray_maximises_the_weighted_partial_likelihood(seed):
    times, events, group = draw(seed, 40, effect=0.7)
    x = np.column_stack([group, np.random.default_rng(seed).normal(size=40)])
    w = weights(times.tolist(), events.tolist(), 1)

    def minus_log_likelihood(beta):
        eta = x @ beta
        return -sum(
            eta[j] - log(sum(w[i, j] * exp(eta[i]) for i in range(40))) for j in range(40) if events[j] == 1
        )

    best = minimize(
        minus_log_likelihood, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11}
    )
    fit = fit_fine_gray(times, events, x)
    assert fit.coefficients == pytest.approx(best.x, abs=SEARCH)
    assert fit.log_likelihood[1] == pytest.approx(-best.fun, abs=1e-8)
    assert fit.log_likelihood[0] == pytest.approx(-minus_log_likelihood(np.zeros(2)), abs=1e-8)


@pytest.mark.requirement("E-fine-gray")
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_fine_gray_errors_are_the_sandwich_of_the_influence_functions(seed):
    times, events, group = draw(seed, 40, effect=0.7)
    fit = fit_fine_gray(times, events, group)
    (beta,), x, n = fit.coefficients, group.astype(float), 40
    w = weights(times.tolist(), events.tolist(), 1) * np.exp(x * beta)[:, None]
    s0 = w.sum(axis=0)
    mean = (w * x[:, None]).sum(axis=0) / s0
    dead = [j for j in range(n) if events[j] == 1]
    information = sum((w[:, j] * (x - mean[j]) ** 2).sum() / s0[j] for j in dead)
    parts = []
    for i in range(n):
        own = x[i] - mean[i] if events[i] == 1 else 0.0
        parts.append(own - sum((x[i] - mean[j]) * w[i, j] / s0[j] for j in dead))

    def pull(u):  # q of the paper: what the censoring curve after u does to the score
        return sum(
            sum(w[i, j] * (x[i] - mean[j]) for i in range(n) if times[i] < u and events[i] == 2) / s0[j]
            for j in dead
            if times[j] >= u
        )

    for i in range(n):
        at_risk = (times >= times[i]).sum()
        parts[i] += pull(times[i]) / at_risk if events[i] == 0 else 0.0
        for j in range(n):
            if events[j] == 0 and times[j] <= times[i]:
                parts[i] -= pull(times[j]) / (times >= times[j]).sum() ** 2
    expected = sqrt(sum(p * p for p in parts)) / information
    assert fit.standard_errors[0] == pytest.approx(expected, rel=1e-7)


@pytest.mark.requirement("E-fine-gray")
def test_without_censoring_it_is_cox_regression_with_competing_patients_at_risk_for_ever():
    times, events, group = draw(5, 200, censoring=0.0, effect=0.5)
    fit = fit_fine_gray(times, events, group)
    stayed = np.where(events == 2, times.max() + 1, times)
    cox = fit_cox(stayed, events == 1, group, ties="breslow")
    assert fit.coefficients == pytest.approx(cox.coefficients, abs=1e-7)
    assert fit.log_likelihood == pytest.approx(cox.log_likelihood, rel=1e-9)


@pytest.mark.requirement("E-fine-gray")
def test_without_competing_events_it_is_cox_regression():
    times, events, group = draw(6, 200, effect=0.5, causes=1)
    fit = fit_fine_gray(times, events, group)
    cox = fit_cox(times, events, group, ties="breslow")
    assert fit.coefficients == pytest.approx(cox.coefficients, abs=1e-7)
    assert fit.standard_errors == pytest.approx(cox.standard_errors, rel=0.15)  # robust against model-based


@pytest.mark.requirement("E-fine-gray")
def test_its_intervals_cover_the_truth_and_its_errors_are_those_of_the_estimates():
    # Fine and Gray 1999, section 6: F1 = 1 - (1 - p (1 - exp(-t))) ** exp(beta x), the rest of kind 2
    beta, p, trials, n = 0.5, 0.6, 400, 200
    covered, estimates, errors = 0, [], []
    for seed in range(trials):
        rng = np.random.default_rng(50_000 + seed)
        x = (rng.random(n) < 0.5).astype(float)
        ratio = np.exp(beta * x)
        first = rng.random(n) < 1 - (1 - p) ** ratio
        u = rng.random(n) * (1 - (1 - p) ** ratio)
        own = -np.log(np.maximum(1 - (1 - (1 - u) ** (1 / ratio)) / p, 1e-12))
        time = np.where(first, own, rng.exponential(size=n))
        stop = rng.uniform(0.5, 4.0, n)
        fit = fit_fine_gray(np.minimum(time, stop), np.where(time <= stop, np.where(first, 1, 2), 0), x)
        covered += log(fit.lower[0]) <= beta <= log(fit.upper[0])
        estimates.append(fit.coefficients[0])
        errors.append(fit.standard_errors[0])
    assert abs(covered / trials - 0.95) <= STANDARD_ERRORS * sqrt(0.95 * 0.05 / trials)
    spread = np.std(estimates)
    assert abs(np.mean(estimates) - beta) <= STANDARD_ERRORS * spread / sqrt(trials)
    assert abs(np.mean(errors) - spread) <= STANDARD_ERRORS * spread / sqrt(2 * trials)


@pytest.mark.requirement("E-fine-gray")
def test_scale_and_origin_of_a_covariate_do_not_matter():
    times, events, group = draw(8, 120, effect=0.5)
    x = np.column_stack([group, np.random.default_rng(8).normal(size=120)])
    plain = fit_fine_gray(times, events, x)
    moved = fit_fine_gray(times, events, x * [10.0, 0.1] + [5.0, -3.0])
    assert np.array(moved.coefficients) * [10.0, 0.1] == pytest.approx(plain.coefficients, rel=1e-6)
    assert np.array(moved.standard_errors) * [10.0, 0.1] == pytest.approx(plain.standard_errors, rel=1e-6)


@pytest.mark.requirement("E-impossible-input")
def test_impossible_competing_data_are_refused():
    times, codes = [1.0, 2.0, 3.0, 4.0], [1, 2, 0, 1]
    with pytest.raises(InputError, match="two or more groups"):
        compare_incidence(times, codes, ["a"] * 4)
    with pytest.raises(InputError, match="times of 0 or more"):
        compare_incidence([-1.0, 2.0, 3.0, 4.0], codes, list("abab"))
    with pytest.raises(InputError, match="varying"):
        fit_fine_gray(times, codes, [1.0] * 4)
    with pytest.raises(NotFoundError, match="kind 3"):
        fit_fine_gray(times, codes, [1.0, 0.0, 1.0, 0.0], cause=3)
    with pytest.raises(NotConvergedError, match="maximum"):
        fit_fine_gray([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 1, 1, 2, 0, 0], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
