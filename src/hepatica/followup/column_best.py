"""Best response on columns, compiled; see `hepatica.followup.best.in_class` for the rules."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from hepatica.followup.column_kernels import CR, NE, NON, NONE, PD, PR, SD


@njit(cache=True)
def is_confirmed(codes: Any, days: Any, at: int, last: int, rules: Any) -> Any:
    """Whether a later visit confirms the CR or PR at a visit; ``rules`` holds window, distance, NE, SD."""
    first, unknown, stable, fell = codes[at], 0, 0, False
    seen_cr = False
    for v in range(at + 1, last + 1):
        code = codes[v]
        if code == NONE:
            continue
        fell = fell or (seen_cr and code == PR)
        seen_cr = seen_cr or code == CR
        unknown += code == NE
        stable += code == SD
        if code in (PD, NON) or (first == CR and (code in (PR, SD))):
            return False
        wanted = code == CR or (first == PR and code == PR)
        if wanted and days[v] - days[at] >= rules[1]:
            return unknown <= rules[2] and stable <= rules[3] and not fell
    return False


@njit(cache=True)
def run_best(codes: Any, days: Any, reference: Any, rules: Any, needs_confirmation: Any) -> Any:
    """Return the best code and the visit it rests on, -1 where there is none; cut at the first PD."""
    subjects, visits = codes.shape
    best = np.zeros(subjects, dtype=np.int8)
    place = np.full(subjects, -1, dtype=np.int32)
    for i in range(subjects):
        last = visits - 1
        for v in range(visits):
            if codes[i, v] == PD:
                last = v
                break
        for v in range(last + 1):
            code = codes[i, v]
            if code == NONE:
                continue
            late = days[i, v] - reference[i] >= rules[0]
            if (
                needs_confirmation
                and (code in (CR, PR))
                and not is_confirmed(codes[i], days[i], v, last, rules)
            ):
                code = SD
            if (code in (SD, NON)) and not late:
                code = NE
            if place[i] < 0 or code < best[i]:
                best[i] = code
                place[i] = v
    return best, place
