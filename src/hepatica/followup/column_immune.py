"""The state machine of iRECIST on columns, compiled; see `hepatica.followup.immune_state` for the rules."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit

from hepatica.followup.column_kernels import (
    BY_NEW,
    BY_OTHERS,
    BY_TARGET,
    CR,
    GROWN,
    ICPD,
    NE,
    NEW_NE,
    NEW_NO,
    NEW_YES,
    PD,
    SD,
    UNEQUIVOCAL,
    _at_least,
    join_without_progression,
    judge_others,
    judge_targets,
    note,
    start,
    sum_sizes,
)

CAUSES: Final = 0
OPENED: Final = 1
TARGET: Final = 2
TARGET_SUM: Final = 3
NEW_SEEN: Final = 4
NEW_COUNT: Final = 5
NEW_SUM: Final = 6
NEW_NADIR: Final = 7
CONFIRMED: Final = 8
STATE_SIZE: Final = 9
"""Places of the state; NaN where a number is unknown, in the opening day too."""
F_DAY: Final = 0
F_TARGET: Final = 1
F_OTHERS: Final = 2
F_NEW: Final = 3
F_SUM: Final = 4
F_PARTIAL: Final = 5
F_NEW_SUM: Final = 6
F_NEW_COUNT: Final = 7
F_GROWTH: Final = 8
F_NEW_GROWTH: Final = 9
FACTS_SIZE: Final = 10


@njit(cache=True)
def clear(state: Any) -> None:
    """Forget an iUPD; keep what is known of new lesions."""
    state[CAUSES] = 0.0
    state[OPENED] = np.nan
    state[TARGET] = 0.0
    state[TARGET_SUM] = np.nan
    state[NEW_SUM] = np.nan
    state[CONFIRMED] = 0.0


@njit(cache=True)
def _new_event(f: Any, s: Any, limits: Any) -> Any:
    if f[F_NEW] != NEW_YES:
        return False
    if s[NEW_SEEN] == 0 or f[F_NEW_COUNT] > s[NEW_COUNT] or f[F_NEW_GROWTH] == 2:
        return True
    now, nadir = f[F_NEW_SUM], s[NEW_NADIR]
    if np.isnan(now) or np.isnan(nadir) or nadir <= 0:
        return False
    return _at_least(now, limits[4] * nadir) and _at_least(now - nadir, limits[0])


@njit(cache=True)
def _progressing(f: Any, s: Any, limits: Any) -> Any:
    causes = 0
    if f[F_TARGET] == PD:
        causes |= BY_TARGET
    if f[F_OTHERS] == PD:
        causes |= BY_OTHERS
    if _new_event(f, s, limits):
        causes |= BY_NEW
    return causes


@njit(cache=True)
def _follow_new(f: Any, s: Any) -> None:
    if f[F_NEW] == NEW_NO:
        s[NEW_SEEN] = 0.0
        if f[F_NEW_COUNT] > 0:
            s[NEW_COUNT] = f[F_NEW_COUNT]
        return
    if f[F_NEW] != NEW_YES:
        return
    s[NEW_SEEN] = 1.0
    if not np.isnan(f[F_NEW_COUNT]):
        s[NEW_COUNT] = f[F_NEW_COUNT]
    _lower_nadir(f, s)


@njit(cache=True)
def _lower_nadir(f: Any, s: Any) -> None:
    now = f[F_NEW_SUM]
    if not np.isnan(now) and (np.isnan(s[NEW_NADIR]) or now < s[NEW_NADIR]):
        s[NEW_NADIR] = now


@njit(cache=True)
def _open(f: Any, s: Any, causes: int) -> None:
    s[CAUSES] = causes
    s[OPENED] = f[F_DAY]
    s[TARGET] = f[F_TARGET]
    s[TARGET_SUM] = np.nan if f[F_PARTIAL] > 0 else f[F_SUM]
    s[NEW_SEEN] = 1.0 if f[F_NEW] == NEW_YES or (s[NEW_SEEN] > 0 and f[F_NEW] != NEW_NO) else 0.0
    if not np.isnan(f[F_NEW_COUNT]):
        s[NEW_COUNT] = f[F_NEW_COUNT]
    elif f[F_NEW] != NEW_YES and np.isnan(s[NEW_COUNT]):
        s[NEW_COUNT] = 0.0
    s[NEW_SUM] = f[F_NEW_SUM]
    if not np.isnan(f[F_NEW_SUM]):
        s[NEW_NADIR] = f[F_NEW_SUM]
    s[CONFIRMED] = 0.0


@njit(cache=True)
def _without_open(f: Any, s: Any, limits: Any) -> Any:
    causes = _progressing(f, s, limits)
    if causes:
        _open(f, s, causes)
        return PD
    code = join_without_progression(int(f[F_TARGET]), int(f[F_OTHERS]), int(f[F_NEW]))
    _follow_new(f, s)
    return code


@njit(cache=True)
def _confirming(f: Any, s: Any, limits: Any) -> Any:
    causes, grown = int(s[CAUSES]), 0
    if causes & BY_TARGET and _at_least(f[F_SUM] - s[TARGET_SUM], limits[0]):
        grown |= BY_TARGET
    if causes & BY_OTHERS and f[F_GROWTH] > 0:
        grown |= BY_OTHERS
    more = (
        f[F_NEW_COUNT] > s[NEW_COUNT]
        or _at_least(f[F_NEW_SUM] - s[NEW_SUM], limits[0])
        or f[F_NEW_GROWTH] > 0
    )
    if causes & BY_NEW and f[F_NEW] == NEW_YES and more:
        grown |= BY_NEW
    return grown if grown else _progressing(f, s, limits) & ~causes


@njit(cache=True)
def _resets(f: Any, s: Any) -> Any:
    target, others, new = f[F_TARGET], f[F_OTHERS], f[F_NEW]
    if target in (PD, NE) or others in (PD, NE) or new == NEW_NE:
        return False
    if new == NEW_NO or int(s[CAUSES]) & BY_OTHERS:
        return True
    ranked = CR <= target <= SD
    return ranked and (CR <= s[TARGET] <= SD or s[TARGET] == PD) and target < s[TARGET]


@njit(cache=True)
def _unknown(f: Any, s: Any) -> Any:
    if f[F_TARGET] == PD or f[F_OTHERS] == PD:
        return False
    if f[F_NEW] == NEW_YES and int(s[CAUSES]) & BY_NEW:
        return False
    return f[F_TARGET] == NE or f[F_OTHERS] == NE or f[F_NEW] == NEW_NE


@njit(cache=True)
def _fill_in(f: Any, s: Any) -> None:
    if np.isnan(s[TARGET_SUM]) and f[F_PARTIAL] == 0:
        s[TARGET_SUM] = f[F_SUM]
    if np.isnan(s[NEW_SUM]):
        s[NEW_SUM] = f[F_NEW_SUM]
    if np.isnan(s[NEW_COUNT]):
        s[NEW_COUNT] = f[F_NEW_COUNT]
    _lower_nadir(f, s)


@njit(cache=True)
def advance_facts(f: Any, s: Any, limits: Any) -> Any:
    """Judge one visit and change the state; returns code, late confirmation, set aside."""
    waiting = s[CAUSES] > 0 and s[CONFIRMED] == 0
    if waiting and f[F_DAY] - s[OPENED] < limits[1] - limits[3]:
        return PD, False, True
    if s[CAUSES] == 0:
        return _without_open(f, s, limits), False, False
    if s[CONFIRMED] > 0:
        if _resets(f, s):
            clear(s)
            return _without_open(f, s, limits), False, False
        return (NE if _unknown(f, s) else ICPD), False, False
    causes = _confirming(f, s, limits)
    if causes:
        s[CONFIRMED] = 1.0
        s[CAUSES] = int(s[CAUSES]) | causes
        return ICPD, f[F_DAY] - s[OPENED] > limits[2], False
    if _resets(f, s):
        code = join_without_progression(int(f[F_TARGET]), int(f[F_OTHERS]), int(f[F_NEW]))
        clear(s)
        _follow_new(f, s)
        return code, False, False
    if _unknown(f, s):
        return NE, False, False
    _fill_in(f, s)
    return PD, False, False


@njit(cache=True)
def find_growth(states: Any, before: Any, count: int) -> Any:
    """Return 0 for none, 1 for any, 2 for unequivocal growth of non-targets since the scan before."""
    for k in range(count):
        if states[k] == GROWN:
            return 1
        if states[k] == UNEQUIVOCAL and before[k] != UNEQUIVOCAL and before[k] != GROWN:
            return 2
    return 0


@njit(cache=True)
def run_irecist(  # noqa: PLR0913  compiled code takes arrays, not objects
    sizes: Any,
    targets: Any,
    nodes: Any,
    states: Any,
    others: Any,
    other_nodes: Any,
    new: Any,
    new_facts: Any,
    days: Any,
    limits: Any,
    immune: Any,
) -> Any:
    """Return overall codes and late confirmations; ``new_facts`` holds sum, count, growth of new lesions."""
    subjects, visits = new.shape
    overall = np.zeros((subjects, visits), dtype=np.int8)
    late = np.zeros((subjects, visits), dtype=np.bool_)
    history, state, facts = np.zeros(4), np.zeros(STATE_SIZE), np.zeros(FACTS_SIZE)
    before = np.zeros(states.shape[2], dtype=np.int8)
    for i in range(subjects):
        start(sum_sizes(sizes[i, 0], nodes[i], targets[i], limits[3]), history)
        clear(state)
        state[NEW_SEEN], state[NEW_COUNT], state[NEW_NADIR] = 0.0, np.nan, np.nan
        before[:] = -1
        for v in range(visits):
            found = sum_sizes(sizes[i, v + 1], nodes[i], targets[i], limits[3])
            target = judge_targets(found, targets[i], history, limits)
            rest = judge_others(states[i, v], other_nodes[i], others[i], history[3] > 0)
            facts[F_DAY], facts[F_TARGET], facts[F_OTHERS], facts[F_NEW] = days[i, v], target, rest, new[i, v]
            facts[F_SUM] = found[0] if targets[i] > 0 else np.nan
            facts[F_PARTIAL] = found[1]
            facts[F_NEW_SUM], facts[F_NEW_COUNT], facts[F_NEW_GROWTH] = (
                new_facts[i, v, 0], new_facts[i, v, 1], new_facts[i, v, 2],
            )  # fmt: skip
            facts[F_GROWTH] = find_growth(states[i, v], before, others[i])
            code, is_late, aside = advance_facts(facts, state, immune)
            overall[i, v], late[i, v] = code, is_late
            if not aside:
                note(history, found, target, code)
                before[:] = states[i, v]
    return overall, late
