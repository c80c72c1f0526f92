"""The rules of RECIST 1.1, iRECIST and best response on columns, compiled.

They repeat the record engine (`hepatica.followup.target`, ``overall``, ``immune_state``, ``best.in_class``)
on numbers; a property test holds the two together. Codes are the positions in
`hepatica.followup.columns.CODES`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from hepatica.followup.limits import RELATIVE_TOLERANCE, SUM_TOLERANCE

NONE: Final = 0
CR: Final = 1
PR: Final = 2
SD: Final = 3
NON: Final = 4
PD: Final = 5
NE: Final = 6
ICPD: Final = 7
ABSENT: Final = 0
PRESENT: Final = 1
EQUIVOCAL: Final = 2
GROWN: Final = 3
UNEQUIVOCAL: Final = 4
NOT_JUDGED: Final = 5
NEW_NO: Final = 0
NEW_YES: Final = 1
NEW_DOUBT: Final = 2
NEW_NE: Final = 3
BY_TARGET: Final = 1
BY_OTHERS: Final = 2
BY_NEW: Final = 4
UNKNOWN: Final = -1


@njit(cache=True)
def _at_most(value: float, limit: float) -> Any:
    return value <= limit + max(SUM_TOLERANCE, RELATIVE_TOLERANCE * abs(limit))


@njit(cache=True)
def _at_least(value: float, limit: float) -> Any:
    return value >= limit - max(SUM_TOLERANCE, RELATIVE_TOLERANCE * abs(limit))


@njit(cache=True)
def sum_sizes(sizes: Any, node: Any, count: int, normal: float) -> Any:
    """Return total, number missing, all gone, and whether a lesion that is no node is there."""
    total, missing, gone, back = 0.0, 0, True, False
    for k in range(count):
        size = sizes[k]
        if np.isnan(size):
            missing += 1
            gone = False
            continue
        total += size
        if not (abs(size) <= SUM_TOLERANCE or (node[k] and not _at_least(size, normal))):
            gone = False
            back = back or not node[k]
    return total, missing, gone, back


@njit(cache=True)
def judge_targets(found: Any, count: int, history: Any, limits: Any) -> Any:
    """Return the target code; ``history`` holds baseline, nadir, responded, cleared."""
    total, missing, gone, back = found
    baseline, nadir, responded, cleared = history[0], history[1], history[2] > 0, history[3] > 0
    if count == 0:
        return NONE
    if gone:
        return CR
    if cleared and back:
        return PD
    if (
        not np.isnan(nadir)
        and abs(total) > SUM_TOLERANCE
        and _at_least(total, limits[1] * nadir)
        and _at_least(total - nadir, limits[2])
    ):
        return PD
    if missing > 0 or np.isnan(baseline):
        return NE
    if _at_most(total, limits[0] * baseline):
        return PR
    return PR if limits[4] > 0 and responded else SD


@njit(cache=True)
def judge_others(states: Any, node: Any, count: int, cleared: Any) -> Any:
    """Return the non-target code."""
    if count == 0:
        return NONE
    unknown, left, back = False, False, False
    for k in range(count):
        state = states[k]
        if state == UNEQUIVOCAL:
            return PD
        there = state in (PRESENT, GROWN)
        back = back or (there and not node[k])
        left = left or there or state == EQUIVOCAL
        unknown = unknown or state in (UNKNOWN, NOT_JUDGED)
    if cleared and back:
        return PD
    if unknown:
        return NE
    return NON if left else CR


@njit(cache=True)
def join(target: int, others: int, new: int) -> Any:
    """Return the overall code by tables 1 and 2."""
    if target == PD or others == PD or new == NEW_YES:
        return PD
    return join_without_progression(target, others, new)


@njit(cache=True)
def join_without_progression(target: int, others: int, new: int) -> Any:
    """Return the overall code where nothing progresses; a new lesion left over bars CR only."""
    if (target == NONE and others == NONE) or new == NEW_NE:
        return NE
    if target == NONE:
        return NON if others == CR and new == NEW_YES else others
    if target == CR and ((others != CR and others != NONE) or new == NEW_YES):
        return PR
    return target


@njit(cache=True)
def note(history: Any, found: Any, target: int, overall: int) -> None:
    """Take a visit into the history; only a complete sum may lower the nadir."""
    if found[1] == 0 and (np.isnan(history[1]) or found[0] < history[1]):
        history[1] = found[0]
    if target == PR:
        history[2] = 1.0
    if overall == CR:
        history[3] = 1.0


@njit(cache=True)
def start(found: Any, history: Any) -> None:
    """Begin a history at the baseline sum; a partial one is no reference."""
    history[0] = found[0] if found[1] == 0 else np.nan
    history[1] = history[0]
    history[2] = 0.0
    history[3] = 0.0


@njit(cache=True)
def run_recist(
    sizes: Any, targets: Any, nodes: Any, states: Any, others: Any, other_nodes: Any, new: Any, limits: Any
) -> Any:
    """Return overall codes (subjects, visits)."""
    subjects, visits = new.shape
    overall = np.zeros((subjects, visits), dtype=np.int8)
    history = np.zeros(4)
    for i in range(subjects):
        start(sum_sizes(sizes[i, 0], nodes[i], targets[i], limits[3]), history)
        for v in range(visits):
            found = sum_sizes(sizes[i, v + 1], nodes[i], targets[i], limits[3])
            target = judge_targets(found, targets[i], history, limits)
            rest = judge_others(states[i, v], other_nodes[i], others[i], history[3] > 0)
            overall[i, v] = join(target, rest, new[i, v])
            note(history, found, target, overall[i, v])
    return overall
