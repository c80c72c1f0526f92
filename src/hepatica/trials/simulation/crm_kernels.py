"""Compiled loop of TITE-CRM with accrual in time; random numbers as in `hepatica.trials.simulation.kernels`."""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

from hepatica.trials.simulation.kernels import _GOLDEN, _draw, _mix


@njit(cache=True)
def _weigh(now, window, dose, arrival, event, given, curves, levels, whole, logs):
    """Fill the log posterior of b on its grid; return its largest value."""
    points = logs.size
    whole[:] = 0
    logs[:] = curves[2 * levels]
    for i in range(given):
        d = dose[i]
        if event[i] <= now:
            whole[0, d] += 1
        elif now >= arrival[i] + window:
            whole[1, d] += 1
        elif now > arrival[i]:
            weight = (now - arrival[i]) / window
            for g in range(points):
                logs[g] += np.log1p(-weight * np.exp(curves[d, g]))
    for row in range(2):
        for d in range(levels):
            if whole[row, d]:
                for g in range(points):
                    logs[g] += whole[row, d] * curves[row * levels + d, g]
    return logs.max()


@njit(cache=True)
def _find_nearest(
    now, window, dose, arrival, event, given, curves, scaled, intercept, empiric, target, whole, logs
):
    """Return the level nearest the target at the posterior mean of b, open windows weighed linearly."""
    levels = scaled.size
    top = _weigh(now, window, dose, arrival, event, given, curves, levels, whole, logs)
    total, first = 0.0, 0.0
    for g in range(logs.size):
        if logs[g] - top > -45.0:
            value = np.exp(logs[g] - top)
            total += value
            first += value * curves[2 * levels + 1, g]
    slope = np.exp(first / total)
    best, distance = 0, 2.0
    for d in range(levels):
        p = np.exp(slope * scaled[d]) if empiric else 1.0 / (1.0 + np.exp(-intercept - slope * scaled[d]))
        away = abs(p - target)
        if away < distance - 1e-12:
            best, distance = d, away
    return best


@njit(cache=True, nogil=True)
def run_tite_crm_block(
    key, trials, truth, start, cohorts, size, skip, curves, scaled, intercept, empiric, target, window, gap
):
    """Simulate trials of TITE-CRM with linear weights; a cohort is assigned when its first patient arrives.

    Parameters
    ----------
    key, trials, truth, start, cohorts, size, skip, curves, scaled, intercept, empiric, target
        As for `hepatica.trials.simulation.kernels.run_crm_block`.
    window, gap
        DLT window and mean time between arrivals, in one unit. DLT times are uniform over the window.

    Returns
    -------
    As `hepatica.trials.simulation.kernels.run_tite_boin_block`.
    """
    levels, most = truth.size, cohorts * size
    selected = np.zeros(levels + 1, np.int64)
    patients, dlts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    squares = np.zeros(3, np.int64)
    dose, arrival, event = np.zeros(most, np.int64), np.zeros(most), np.zeros(most)
    whole, logs = np.zeros((2, levels), np.int64), np.zeros(curves.shape[1])
    for trial in range(trials):
        trial_key = _mix(key ^ _mix(np.uint64(trial) * _GOLDEN + np.uint64(1)))
        d, now = start, 0.0
        for given in range(most):
            now += -gap * np.log(1.0 - _draw(trial_key, given, 3))
            if given % size == 0 and given > 0:
                best = _find_nearest(
                    now,
                    window,
                    dose,
                    arrival,
                    event,
                    given,
                    curves,
                    scaled,
                    intercept,
                    empiric,
                    target,
                    whole,
                    logs,
                )
                d = best if skip else min(best, d + 1)
            dose[given], arrival[given], event[given] = d, now, np.inf
            if _draw(trial_key, given, 0) < truth[d]:
                event[given] = now + window * (1.0 - _draw(trial_key, given, 2))
        end = now + window
        best = _find_nearest(
            end, window, dose, arrival, event, most, curves, scaled, intercept, empiric, target, whole, logs
        )
        selected[best if skip else min(best, d + 1)] += 1
        toxic = 0
        for i in range(most):
            seen = event[i] < np.inf
            patients[dose[i]] += 1
            dlts[dose[i]] += seen
            toxic += seen
        squares[0] += most * most
        squares[1] += toxic * toxic
        squares[2] += np.int64(1000.0 * end / window + 0.5)
    return selected, patients, dlts, squares
