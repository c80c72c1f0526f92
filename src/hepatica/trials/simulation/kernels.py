"""Compiled loops over simulated trials.

Every patient of every trial owns fixed random numbers, found by counting (SplitMix64, Steele et al. 2014,
doi:10.1145/2660193.2660195): the key of the block, the trial, the patient and a lane. Two designs simulated
with one seed therefore treat the same patients, and a trial's result does not depend on the trials before it.
Lanes: 0 tolerance (a DLT when below the dose's DLT probability), 1 response, 2 time of the DLT, 3 arrival.
"""

# mypy: disable-error-code="no-untyped-def"

from __future__ import annotations

import numpy as np
from numba import njit

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)
_TO_UNIT = 1.0 / 9007199254740992.0
LANES = 4


@njit(cache=True, inline="always")
def _mix(z: np.uint64) -> np.uint64:
    z = (z ^ (z >> np.uint64(30))) * _FIRST
    z = (z ^ (z >> np.uint64(27))) * _SECOND
    return z ^ (z >> np.uint64(31))


@njit(cache=True, inline="always")
def _draw(trial_key: np.uint64, patient: int, lane: int) -> float:
    z = _mix(trial_key + np.uint64(patient * 4 + lane + 1) * _GOLDEN)
    return float(z >> np.uint64(11)) * _TO_UNIT


@njit(cache=True)
def draw_patients(key: np.uint64, trial: int, patients: int, lane: int) -> np.ndarray:
    """Return one lane of a trial's random numbers, uniform on [0, 1)."""
    trial_key = _mix(key ^ _mix(np.uint64(trial) * _GOLDEN + np.uint64(1)))
    numbers = np.empty(patients)
    for i in range(patients):
        numbers[i] = _draw(trial_key, i, lane)
    return numbers


@njit(cache=True)
def _select(n, x, highest, mean, weight, target, value, mass, length):
    """Return the tried admissible level (from 0) with the isotonic estimate nearest the target, or -1."""
    count = 0
    for d in range(highest):
        if n[d] == 0:
            continue
        value[count], mass[count], length[count] = mean[n[d], x[d]], weight[n[d], x[d]], 1
        count += 1
        while count > 1 and value[count - 2] > value[count - 1]:
            total = mass[count - 2] + mass[count - 1]
            value[count - 2] = (
                value[count - 2] * mass[count - 2] + value[count - 1] * mass[count - 1]
            ) / total
            mass[count - 2] = total
            length[count - 2] += length[count - 1]
            count -= 1
    best, distance, block, left = -1, 2.0, 0, 0
    if count:
        left = length[0]
    for d in range(highest):
        if n[d] == 0:
            continue
        if left == 0:
            block += 1
            left = length[block]
        left -= 1
        away = abs(value[block] + 1e-10 * d - target)
        if away < distance:
            best, distance = d, away
    return best


@njit(cache=True, nogil=True)
def run_interval_block(key, trials, truth, start, cohorts, size, action, gone, mean, weight, target):
    """Simulate trials of a design given by its decision table.

    Parameters
    ----------
    key
        Key of the block.
    trials, cohorts, size
        Trials, cohorts in a trial, patients in a cohort.
    truth
        True DLT probability of each level.
    start
        First level, from 0.
    action, gone
        For n patients and x DLTs: -1, 0, 1; whether the level is eliminated.
    mean, weight
        For n and x: estimate and its weight in the isotonic fit.
    target
        Target DLT probability.

    Returns
    -------
    Selections (last entry: none), and per trial patients and DLTs by level.
    """
    levels = truth.size
    selected = np.zeros(levels + 1, np.int64)
    patients, dlts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    squares = np.zeros(2, np.int64)
    n, x = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    value, mass, length = np.zeros(levels), np.zeros(levels), np.zeros(levels, np.int64)
    for trial in range(trials):
        trial_key = _mix(key ^ _mix(np.uint64(trial) * _GOLDEN + np.uint64(1)))
        n[:] = 0
        x[:] = 0
        d, highest, given = start, levels, 0
        for _ in range(cohorts):
            limit = truth[d]
            seen = 0
            for i in range(given, given + size):
                seen += _draw(trial_key, i, 0) < limit
            given += size
            n[d] += size
            x[d] += seen
            if gone[n[d], x[d]]:
                highest = min(highest, d)
                if highest == 0:
                    break
            d = min(max(d + action[n[d], x[d]], 0), highest - 1)
        chosen = _select(n, x, highest, mean, weight, target, value, mass, length)
        selected[chosen if chosen >= 0 else levels] += 1
        toxic = 0
        for j in range(levels):
            patients[j] += n[j]
            dlts[j] += x[j]
            toxic += x[j]
        squares[0] += given * given
        squares[1] += toxic * toxic
    return selected, patients, dlts, squares


@njit(cache=True)
def _nearest(n, x, log_p, log_q, log_prior, grid, scaled, intercept, empiric, target):
    """Return the level nearest the target at the posterior mean of b."""
    points = grid.size
    top = -np.inf
    logs = np.empty(points)
    for g in range(points):
        value = log_prior[g]
        for d in range(n.size):
            if n[d]:
                value += x[d] * log_p[d, g] + (n[d] - x[d]) * log_q[d, g]
        logs[g] = value
        top = max(top, value)
    total, first = 0.0, 0.0
    for g in range(points):
        if logs[g] - top > -45.0:
            value = np.exp(logs[g] - top)
            total += value
            first += value * grid[g]
    slope = np.exp(first / total)
    best, distance = 0, 2.0
    for d in range(n.size):
        p = np.exp(slope * scaled[d]) if empiric else 1.0 / (1.0 + np.exp(-intercept - slope * scaled[d]))
        away = abs(p - target)
        if away < distance - 1e-12:
            best, distance = d, away
    return best


@njit(cache=True, nogil=True)
def run_crm_block(
    key, trials, truth, start, cohorts, size, skip, curves, scaled, intercept, empiric, target, keys, answers
):
    """Simulate trials of a CRM; answers to counts already met are kept in an open hash table.

    Parameters
    ----------
    key, trials, truth, start, cohorts, size, target
        As for `run_interval_block`.
    skip
        Whether levels may be skipped.
    curves
        Log DLT and log no-DLT probability by level and grid point, then log prior, then grid: (2 levels + 2,
        points).
    scaled, intercept, empiric
        The working model.
    keys, answers
        Hash table of counts met before; empty entries of `keys` are -1. Size a power of two, or 1 for no
        table.
    """
    levels = truth.size
    log_p, log_q = curves[:levels], curves[levels : 2 * levels]
    log_prior, grid = curves[2 * levels], curves[2 * levels + 1]
    selected = np.zeros(levels + 1, np.int64)
    patients, dlts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    squares = np.zeros(2, np.int64)
    n, x = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    base = np.int64(cohorts * size + 1)
    slots = keys.size - 1
    for trial in range(trials):
        trial_key = _mix(key ^ _mix(np.uint64(trial) * _GOLDEN + np.uint64(1)))
        n[:] = 0
        x[:] = 0
        d, best, given = start, start, 0
        for _ in range(cohorts):
            limit = truth[d]
            seen = 0
            for i in range(given, given + size):
                seen += _draw(trial_key, i, 0) < limit
            given += size
            n[d] += size
            x[d] += seen
            if slots:
                code = np.int64(0)
                for j in range(levels):
                    code = (code * base + n[j]) * base + x[j]
                at = np.int64(_mix(np.uint64(code)) & np.uint64(slots))
                while keys[at] != code and keys[at] != -1:
                    at = (at + 1) & slots
                if keys[at] == -1:
                    keys[at] = code
                    answers[at] = _nearest(
                        n, x, log_p, log_q, log_prior, grid, scaled, intercept, empiric, target
                    )
                best = np.int64(answers[at])
            else:
                best = _nearest(n, x, log_p, log_q, log_prior, grid, scaled, intercept, empiric, target)
            d = best if skip else min(best, d + 1)
        selected[d] += 1
        toxic = 0
        for j in range(levels):
            patients[j] += n[j]
            dlts[j] += x[j]
            toxic += x[j]
        squares[0] += given * given
        squares[1] += toxic * toxic
    return selected, patients, dlts, squares


@njit(cache=True)
def _look(now, window, dose, arrival, event, given, levels, n, s, c, follow):
    """Count what is known at a moment: patients, DLTs, pending patients and their follow-up, by level."""
    n[:] = 0
    s[:] = 0
    c[:] = 0
    follow[:] = 0.0
    for i in range(given):
        d = dose[i]
        n[d] += 1
        if event[i] <= now:
            s[d] += 1
        elif now < arrival[i] + window:
            c[d] += 1
            follow[d] += (now - arrival[i]) / window


@njit(cache=True)
def _next_outcome(now, window, d, dose, arrival, event, given):
    """Return the next moment at which a patient of a level is no longer pending."""
    soon = np.inf
    for i in range(given):
        if dose[i] == d:
            end = min(event[i], arrival[i] + window)
            if end > now:
                soon = min(soon, end)
    return soon


@njit(cache=True)
def _assign_cohort(now, window, d, dose, arrival, event, given, gone, target, limits, n, s, c, follow):
    """Return when the next cohort starts, after any suspension of accrual, and its level, -1 for none."""
    levels = n.size
    while True:
        _look(now, window, dose, arrival, event, given, levels, n, s, c, follow)
        highest = levels
        for j in range(levels):
            if gone[n[j], s[j]]:
                highest = j
                break
        if highest == 0:
            return now, -1
        if d >= highest or 2 * c[d] <= n[d]:
            break
        now = _next_outcome(now, window, d, dose, arrival, event, given)
    p_bar = (s[d] + 0.5 * target) / (n[d] - c[d] + 1)
    rate = float(s[d])
    if c[d] > follow[d]:
        rate += p_bar / (1.0 - p_bar) * (c[d] - follow[d])
    rate /= n[d]
    if rate <= limits[0] + 1e-12:
        d += 1
    elif rate >= limits[1] - 1e-12:
        d -= 1
    return now, min(max(d, 0), levels - 1, highest - 1)


@njit(cache=True, nogil=True)
def run_tite_boin_block(
    key, trials, truth, start, cohorts, size, gone, mean, weight, target, limits, window, gap
):
    """Simulate trials of TITE-BOIN with accrual in time.

    Parameters
    ----------
    key, trials, truth, start, cohorts, size, gone, mean, weight, target
        As for `run_interval_block`.
    limits
        lambda_e and lambda_d.
    window, gap
        DLT window and mean time between arrivals, in one unit. DLT times are uniform over the window,
        arrivals a Poisson process. A new cohort is assigned when its first patient arrives, or waits while
        accrual is suspended.

    Returns
    -------
    As `run_interval_block`, and the sum of trial durations in 1/1000 windows (whole numbers, so that sums do
    not depend on their order).
    """
    levels = truth.size
    selected = np.zeros(levels + 1, np.int64)
    patients, dlts = np.zeros(levels, np.int64), np.zeros(levels, np.int64)
    squares = np.zeros(3, np.int64)
    most = cohorts * size
    dose, arrival, event = np.zeros(most, np.int64), np.zeros(most), np.zeros(most)
    n, s, c, follow = (
        np.zeros(levels, np.int64),
        np.zeros(levels, np.int64),
        np.zeros(levels, np.int64),
        np.zeros(levels),
    )
    value, mass, length = np.zeros(levels), np.zeros(levels), np.zeros(levels, np.int64)
    for trial in range(trials):
        trial_key = _mix(key ^ _mix(np.uint64(trial) * _GOLDEN + np.uint64(1)))
        d, given, now, stopped = start, 0, 0.0, False
        while given < most and not stopped:
            now += -gap * np.log(1.0 - _draw(trial_key, given, 3))
            if given % size == 0 and given > 0:
                now, d = _assign_cohort(
                    now, window, d, dose, arrival, event, given, gone, target, limits, n, s, c, follow
                )
                if d < 0:
                    stopped = True
                    break
            dose[given], arrival[given] = d, now
            event[given] = np.inf
            if _draw(trial_key, given, 0) < truth[d]:
                event[given] = now + window * (1.0 - _draw(trial_key, given, 2))
            given += 1
        end = now + window
        _look(end, window, dose, arrival, event, given, levels, n, s, c, follow)
        highest = levels
        for j in range(levels):
            if gone[n[j], s[j]]:
                highest = j
                break
        chosen = -1 if stopped else _select(n, s, highest, mean, weight, target, value, mass, length)
        selected[chosen if chosen >= 0 else levels] += 1
        toxic = 0
        for j in range(levels):
            patients[j] += n[j]
            dlts[j] += s[j]
            toxic += s[j]
        squares[0] += given * given
        squares[1] += toxic * toxic
        squares[2] += np.int64(1000.0 * end / window + 0.5)
    return selected, patients, dlts, squares
