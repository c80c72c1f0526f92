"""Survival answers against printed results, closed forms and their own conventions."""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hepatica.core.errors import InputError, NonFiniteError, NotConvergedError, NotFoundError
from hepatica.trials.endpoints.comparison import compare_log_rank, fit_cox
from hepatica.trials.endpoints.competing import estimate_incidence
from hepatica.trials.endpoints.survival import estimate_follow_up, estimate_survival, start_at_landmark

PRINTED = 5e-4  # three decimals printed
PRINTED_CHI2 = 5e-3  # two decimals printed
ROUNDING = 1e-12
Z = 1.959963984540054

MAINTAINED = ([9, 13, 13, 18, 23, 28, 31, 34, 45, 48, 161], [1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0])
NOT_MAINTAINED = ([5, 5, 8, 8, 12, 16, 23, 27, 30, 33, 43, 45], [1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1])
SIX_MP = ([6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35], [1] * 9 + [0] * 12)
PLACEBO = ([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23], [1] * 21)
SETTINGS = settings(max_examples=60, deadline=None, derandomize=True)


def joined(first, second):
    times, events = first[0] + second[0], first[1] + second[1]
    return times, events, [0] * len(first[0]) + [1] * len(second[0])


@pytest.mark.requirement("E-kaplan-meier")
def test_aml_curve_median_and_limits_are_those_printed():
    curve = estimate_survival(*MAINTAINED, conf_type="log")
    at_events = curve.survival[curve.n_event > 0]
    assert at_events == pytest.approx([0.909, 0.818, 0.716, 0.614, 0.491, 0.368, 0.184], abs=PRINTED)
    assert curve.lower[0] == pytest.approx(0.7541, abs=PRINTED)
    assert curve.quantile() == (31.0, 18.0, None)
    assert estimate_survival(*NOT_MAINTAINED, conf_type="log").quantile() == (23.0, 8.0, None)


@pytest.mark.requirement("E-kaplan-meier")
def test_six_mp_medians_with_log_log_limits_are_those_printed():
    assert estimate_survival(*SIX_MP).quantile() == (23.0, 13.0, None)
    assert estimate_survival(*PLACEBO).quantile() == (8.0, 4.0, 11.0)


@pytest.mark.requirement("E-log-rank")
def test_log_rank_statistics_are_those_printed():
    aml = compare_log_rank(*joined(MAINTAINED, NOT_MAINTAINED))
    assert (aml.chi2, aml.df) == (pytest.approx(3.4, abs=0.05), 1)
    assert aml.p == pytest.approx(0.065, abs=PRINTED)
    gehan = compare_log_rank(*joined(SIX_MP, PLACEBO))
    assert gehan.chi2 == pytest.approx(16.79, abs=PRINTED_CHI2)
    assert gehan.observed == (9.0, 21.0)
    assert gehan.expected == pytest.approx((19.25, 10.75), abs=PRINTED_CHI2)


@pytest.mark.requirement("E-cox")
@pytest.mark.parametrize(
    ("ties", "coefficient", "error"), [("efron", 1.572, 0.412), ("breslow", 1.509, 0.410)]
)
def test_cox_estimates_with_both_ways_of_ties_are_those_printed(ties, coefficient, error):
    fit = fit_cox(*joined(SIX_MP, PLACEBO), ties=ties)
    assert fit.coefficients[0] == pytest.approx(coefficient, abs=PRINTED)
    assert fit.standard_errors[0] == pytest.approx(error, abs=PRINTED)
    assert fit.hazard_ratios[0] == pytest.approx(exp(fit.coefficients[0]), rel=ROUNDING)
    assert fit.lower[0] < fit.hazard_ratios[0] < fit.upper[0]


@pytest.mark.requirement("E-cox")
def test_aml_cox_estimate_is_that_printed():
    fit = fit_cox(*joined(MAINTAINED, NOT_MAINTAINED))
    assert fit.coefficients[0] == pytest.approx(0.9155, abs=PRINTED)
    assert fit.standard_errors[0] == pytest.approx(0.5119, abs=PRINTED)
    assert 2 * (fit.log_likelihood[1] - fit.log_likelihood[0]) == pytest.approx(3.38, abs=PRINTED_CHI2)
    assert fit.p[0] == pytest.approx(0.0737, abs=PRINTED)


@pytest.mark.requirement("E-cox")
def test_cox_with_two_covariates_does_not_depend_on_scale_or_origin():
    rng = np.random.default_rng(6)
    x = rng.normal(size=(60, 2))
    times = rng.exponential(np.exp(-x @ [0.8, -0.4]))
    events = rng.random(60) < 0.8
    plain = fit_cox(times, events, x)
    moved = fit_cox(times, events, x * [10.0, 0.1] + [5.0, -3.0])
    assert np.array(moved.coefficients) * [10.0, 0.1] == pytest.approx(plain.coefficients, rel=1e-6)
    assert plain.coefficients == pytest.approx((0.8, -0.4), abs=0.5)


@pytest.mark.requirement("E-cox")
def test_cox_says_so_when_the_likelihood_has_no_maximum():
    with pytest.raises(NotConvergedError, match="maximum"):
        fit_cox([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1, 1, 1, 0, 0, 0], [1.0, 1.0, 1.0, 0.0, 0.0, 0.0])


@pytest.mark.requirement("E-kaplan-meier")
@pytest.mark.parametrize("conf_type", ["log", "log-log", "plain"])
def test_limits_of_uncensored_data_follow_their_formulas(conf_type):
    curve = estimate_survival([1.0, 2.0, 3.0, 4.0, 5.0], [1] * 5, conf_type=conf_type)
    s = 0.6
    se = sqrt(s * (1 - s) / 5) / s  # Greenwood without censoring is the binomial variance
    expected = {
        "log": (s * exp(-Z * se), min(1.0, s * exp(Z * se))),
        "plain": (s - Z * s * se, min(1.0, s + Z * s * se)),
        "log-log": (s ** exp(-Z * se / log(s)), s ** exp(Z * se / log(s))),
    }[conf_type]
    assert (curve.lower[1], curve.upper[1]) == pytest.approx(expected, abs=1e-9)
    assert np.isnan(curve.lower[-1]) and np.isnan(curve.upper[-1])


@pytest.mark.requirement("E-median-rule")
def test_a_curve_flat_at_one_half_gives_the_midpoint_to_the_next_drop():
    assert estimate_survival([1, 2, 3, 4], [1, 1, 1, 1]).quantile()[0] == 2.5
    assert estimate_survival([1, 2, 3, 4], [1, 1, 0, 1]).quantile()[0] == 3.0
    assert estimate_survival([1, 2, 3, 4], [1, 1, 0, 0]).quantile()[0] == 2.0


@pytest.mark.requirement("E-median-rule")
def test_a_lower_limit_may_exist_without_a_median_and_none_after_the_curve_is_zero():
    curve = estimate_survival([1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [1, 1, 1, 1, 0, 0, 0, 0, 0, 0])
    median, lower, upper = curve.quantile()
    assert (median, upper) == (None, None)
    assert lower == 1.0  # 0.9 ** exp(1.96) is 0.47: the band crosses at the first event
    # the last patient has the event: the band is undefined there, so the upper limit has no value
    last = estimate_survival([1, 2, 3, 4], [1, 1, 1, 1])
    assert last.quantile()[2] is None


@pytest.mark.requirement("E-median-rule")
def test_no_events_is_an_answer_not_an_error():
    curve = estimate_survival([3.0, 5.0], [0, 0])
    assert curve.quantile() == (None, None, None)
    assert curve.survival.tolist() == [1.0, 1.0]
    assert curve.lower.tolist() == [1.0, 1.0]
    assert compare_log_rank([3.0, 5.0], [0, 0], [0, 1]).chi2 == 0.0


@pytest.mark.requirement("E-rmst")
def test_restricted_mean_of_uncensored_data_is_the_mean_of_shortened_times():
    times = np.array([1.0, 2.0, 4.0, 7.0, 9.0])
    mean, error = estimate_survival(times, np.ones(5)).restricted_mean(6.0)
    short = np.minimum(times, 6.0)
    assert mean == pytest.approx(short.mean(), abs=ROUNDING)
    assert error == pytest.approx(short.std() / sqrt(5), abs=ROUNDING)
    with pytest.raises(InputError, match="last follow-up"):
        estimate_survival(*SIX_MP).restricted_mean(40.0)


@pytest.mark.requirement("E-landmark")
def test_landmark_rates_step_at_event_times_and_refuse_times_nobody_was_watched():
    curve = estimate_survival(*SIX_MP)
    assert curve.at(5.99)[0] == 1.0
    assert curve.at(6.0)[0] == pytest.approx(18 / 21, abs=ROUNDING)
    assert curve.at(0.0) == (1.0, 1.0, 1.0)
    with pytest.raises(InputError, match="earlier"):
        curve.at(36.0)


@pytest.mark.requirement("E-landmark")
def test_a_landmark_analysis_gives_no_credit_for_the_time_before_response():
    times, events, reached = start_at_landmark(
        [1.0, 5.0, 8.0, 9.0], [1, 1, 0, 1], landmark=3.0, status_times=[float("nan"), 2.0, 4.0, float("nan")]
    )
    assert times.tolist() == [2.0, 5.0, 6.0]
    assert events.tolist() == [1, 0, 1]
    assert reached.tolist() == [True, False, False]


@pytest.mark.requirement("E-reverse-km")
def test_reverse_curve_measures_follow_up():
    assert estimate_follow_up([1, 2, 3, 4], [0, 0, 0, 0]).quantile()[0] == 2.5
    assert estimate_follow_up(*PLACEBO).quantile()[0] is None


@pytest.mark.requirement("E-competing-risks")
def test_incidence_without_censoring_is_a_proportion_with_binomial_error():
    first, second = estimate_incidence([1, 2, 3, 4, 5], [1, 2, 1, 1, 2])
    assert first.incidence.tolist() == pytest.approx([0.2, 0.2, 0.4, 0.6, 0.6], abs=ROUNDING)
    assert second.incidence[-1] == pytest.approx(0.4, abs=ROUNDING)
    assert first.std_err[2] == pytest.approx(sqrt(0.4 * 0.6 / 5), abs=1e-9)


times_and_codes = st.lists(st.tuples(st.integers(1, 12), st.integers(0, 2)), min_size=2, max_size=30)


@pytest.mark.requirement("E-competing-risks")
@SETTINGS
@given(rows=times_and_codes)
def test_incidences_and_event_free_survival_sum_to_one(rows):
    times, codes = [float(t) for t, _ in rows], [c for _, c in rows]
    free = estimate_survival(times, [int(c > 0) for c in codes])
    total = sum((curve.incidence for curve in estimate_incidence(times, codes)), np.zeros(free.time.size))
    assert np.abs(total + free.survival - 1.0).max() < 1e-9
    for curve in estimate_incidence(times, codes):
        assert (np.diff(curve.incidence) >= -ROUNDING).all()


@pytest.mark.requirement("E-kaplan-meier")
@SETTINGS
@given(
    rows=st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=30),
    shuffled=st.randoms(use_true_random=False),
)
def test_curves_fall_lie_inside_their_limits_and_ignore_the_order_of_patients(rows, shuffled):
    curve = estimate_survival([float(t) for t, _ in rows], [int(e) for _, e in rows])
    assert (np.diff(curve.survival) <= ROUNDING).all()
    known = ~np.isnan(curve.lower)
    assert (curve.lower[known] <= curve.survival[known] + ROUNDING).all()
    assert (curve.survival[known] <= curve.upper[known] + ROUNDING).all()
    other = list(rows)
    shuffled.shuffle(other)
    again = estimate_survival([float(t) for t, _ in other], [int(e) for _, e in other])
    assert again.survival.tolist() == curve.survival.tolist()
    assert again.quantile() == curve.quantile()


@pytest.mark.requirement("E-kaplan-meier")
def test_times_that_differ_only_by_rounding_are_one_time():
    curve = estimate_survival([0.3, 0.1 + 0.2, 1.0], [1, 1, 0])
    assert curve.time.tolist() == [0.3, 1.0]


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("times", "events", "error"),
    [
        ([-1.0, 2.0], [1, 0], InputError),
        ([1.0, 2.0], [1, 2], InputError),
        ([1.0], [1, 0], InputError),
        ([], [], InputError),
        ([1.0, float("nan")], [1, 0], NonFiniteError),
        ([1.0, 2.0], [0.5, 1], InputError),
    ],
)
def test_impossible_survival_data_are_refused(times, events, error):
    with pytest.raises(error):
        estimate_survival(times, events)


@pytest.mark.requirement("E-impossible-input")
def test_unknown_settings_are_refused():
    with pytest.raises(NotFoundError):
        estimate_survival([1.0], [1], conf_type="logit")
    with pytest.raises(NotFoundError):
        fit_cox([1.0, 2.0], [1, 1], [0.0, 1.0], ties="exact")
    with pytest.raises(InputError):
        compare_log_rank([1.0, 2.0], [1, 1], ["a", "a"])
