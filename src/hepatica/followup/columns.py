"""Many subjects at once: records as columns, responses as arrays of codes.

The trail of any subject is rebuilt on request from its records; columns give codes only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.core.errors import InputError
from hepatica.followup.best.timeline import BestRule, BestSettings, ProgressionCut
from hepatica.followup.immune_state import ImmuneLimits, read_immune_limits
from hepatica.followup.target import TargetLimits

CODES: Final = ("", "CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")
"""RECIST 1.1 codes by number; 0 is no assessment."""
IMMUNE_CODES: Final = ("", "iCR", "iPR", "iSD", "NON-iCR/NON-iUPD", "iUPD", "NE", "iCPD")
"""iRECIST codes by number."""
STATE_NUMBERS: Final = {
    "ABSENT": 0,
    "PRESENT": 1,
    "EQUIVOCAL": 2,
    "INCREASED": 3,
    "UNEQUIVOCAL": 4,
    "NE": 5,
}
"""States of non-targets; -1 is not assessed."""
NEW_NUMBERS: Final = {"N": 0, "Y": 1, "EQUIVOCAL": 2, "NE": 3}
"""Answers about new lesions."""
GROWTH_NUMBERS: Final = {"none": 0, "any": 1, "unequivocal": 2}

Floats = NDArray[np.float64]
Codes = NDArray[np.int8]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ResponseColumns:
    """Records of n subjects with v visits after the baseline; every subject has the same number of visits.

    Parameters
    ----------
    sizes_mm
        (n, v + 1, t) sizes of targets, the baseline first; NaN where one was not measured.
    targets
        (n,) how many of the t places a subject uses.
    target_nodes
        (n, t) which targets are nodes.
    states
        (n, v, k) states of non-targets as `STATE_NUMBERS`, -1 where not assessed.
    non_targets
        (n,) how many of the k places a subject uses.
    non_target_nodes
        (n, k) which non-targets are nodes.
    new
        (n, v) answers about new lesions as `NEW_NUMBERS`.
    new_sums_mm, new_counts, new_growth
        (n, v) sum of new targets (NaN where unknown), number of new lesions so far (NaN where unknown),
        growth of those that are not measured as `GROWTH_NUMBERS`; for iRECIST.
    days
        (n, v) day of each visit, counted from any fixed day.
    reference_days
        (n,) day from which stable disease is counted.

    Raises
    ------
    InputError
        If shapes do not agree or a size is negative.
    """

    sizes_mm: Floats
    targets: NDArray[np.int64]
    target_nodes: NDArray[np.bool_]
    states: Codes
    non_targets: NDArray[np.int64]
    non_target_nodes: NDArray[np.bool_]
    new: Codes
    new_sums_mm: Floats
    new_counts: Floats
    new_growth: Codes
    days: NDArray[np.int64]
    reference_days: NDArray[np.int64]

    def __post_init__(self) -> None:
        """Check shapes and make the arrays read-only."""
        subjects, visits = self.new.shape
        wanted = {
            "sizes_mm": (subjects, visits + 1, self.sizes_mm.shape[-1]),
            "targets": (subjects,),
            "target_nodes": (subjects, self.sizes_mm.shape[-1]),
            "states": (subjects, visits, self.states.shape[-1]),
            "non_targets": (subjects,),
            "non_target_nodes": (subjects, self.states.shape[-1]),
            "new_sums_mm": (subjects, visits),
            "new_counts": (subjects, visits),
            "new_growth": (subjects, visits),
            "days": (subjects, visits),
            "reference_days": (subjects,),
        }
        for name, shape in wanted.items():
            given = getattr(self, name).shape
            if given != shape:
                raise InputError(expected=f"{name} of shape {shape}", given=f"shape {given}", where="columns")
            getattr(self, name).setflags(write=False)
        if np.any(self.sizes_mm < 0):
            raise InputError(
                expected="sizes of 0 or more", given="a negative size", where="columns, sizes_mm"
            )


def derive_recist_columns(columns: ResponseColumns, *, limits: TargetLimits) -> Codes:
    """Derive RECIST 1.1 overall responses.

    Parameters
    ----------
    columns
        Records.
    limits
        From `hepatica.followup.criteria.recist11.read_recist_limits`.

    Returns
    -------
    codes
        (n, v) positions in `CODES`.
    """
    from hepatica.followup.column_kernels import run_recist

    overall: Codes = run_recist(
        columns.sizes_mm,
        columns.targets,
        columns.target_nodes,
        columns.states,
        columns.non_targets,
        columns.non_target_nodes,
        columns.new,
        _to_numbers(limits),
    )
    return overall


def derive_irecist_columns(
    columns: ResponseColumns, *, limits: TargetLimits, immune: ImmuneLimits | None = None
) -> tuple[Codes, NDArray[np.bool_]]:
    """Derive iRECIST overall responses.

    Returns
    -------
    codes, late
        (n, v) positions in `IMMUNE_CODES`, and which confirmations came late.
    """
    from hepatica.followup.column_immune import run_irecist

    immune = immune or read_immune_limits()
    numbers = np.array(
        [
            immune.increase_mm,
            immune.earliest_days,
            immune.latest_days,
            immune.tolerance_days,
            immune.new_ratio,
        ],
        dtype=np.float64,
    )
    new_facts = np.stack([columns.new_sums_mm, columns.new_counts, columns.new_growth.astype(float)], axis=-1)
    codes, late = run_irecist(
        columns.sizes_mm,
        columns.targets,
        columns.target_nodes,
        columns.states,
        columns.non_targets,
        columns.non_target_nodes,
        columns.new,
        new_facts,
        columns.days,
        _to_numbers(limits),
        numbers,
    )
    return codes, late


def derive_best_columns(
    codes: Codes, *, columns: ResponseColumns, settings: BestSettings, confirmed: bool
) -> tuple[Codes, NDArray[np.int32]]:
    """Derive best overall responses, rule ``best-in-class``, time points after the first PD dropped.

    Parameters
    ----------
    codes
        From `derive_recist_columns`.
    columns
        The same records, for days.
    settings
        Window, distance, what may lie between.
    confirmed
        Whether CR and PR need confirmation.

    Returns
    -------
    best, visit
        (n,) positions in `CODES` (0: missing) and the visit each rests on (-1: none).

    Raises
    ------
    InputError
        If the settings ask for another rule or cut.
    """
    from hepatica.followup.column_best import run_best

    if settings.rule is not BestRule.BEST_IN_CLASS or settings.until_pd is not ProgressionCut.DERIVE:
        raise InputError(
            expected="rule best-in-class, cut at the first PD",
            given=f"{settings.rule}, {settings.until_pd}",
            where="columns",
            action="use the records for other rules",
        )
    rules = _pack((settings.sd_window_days, settings.confirm_days, settings.max_ne, settings.accept_sd))
    best, place = run_best(codes, columns.days, columns.reference_days, rules, confirmed)
    return best, place


def _to_numbers(limits: TargetLimits) -> Floats:
    return _pack(
        (
            limits.response_ratio,
            limits.progression_ratio,
            limits.progression_least,
            limits.node_normal,
            limits.continuing_pr,
        )
    )


def _pack(numbers: Sequence[float]) -> Floats:
    return np.array(numbers, dtype=np.float64)
