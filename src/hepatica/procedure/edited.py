"""What people changed in a plan before its day: another dose of a lesion, a backup instead of the first choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from hepatica.core.errors import RecordInputError
from hepatica.procedure.entry import ID_MAX, TEXT_MAX
from hepatica.procedure.planned import PlannedDay, PlannedPuncture

LEAST_ML = 1e-9
"""Volumes below are none: sums of planned deposits are exact to far less than a microlitre."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DoseChange:
    """Another amount for one lesion.

    Parameters
    ----------
    lesion_id
        Which.
    volume_ml
        What it shall get now; 0 for nothing.
    reason
        Why.
    """

    lesion_id: str
    volume_ml: float
    reason: str


def read_dose_changes(rows: object) -> tuple[DoseChange, ...]:
    """Read changes of dose as a plan of the record keeps them.

    Parameters
    ----------
    rows
        List of objects with ``lesion_id``, ``volume_ml`` and ``reason``; None for none.

    Raises
    ------
    RecordInputError
        If one is no such object, has no reason, or a lesion stands in two.
    """
    if rows is None:
        return ()
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not all(map(_is_change, rows)):
        raise RecordInputError(
            expected="changes with a lesion_id, a volume_ml of 0 or more, and a reason",
            given="others",
            where="dose_changes",
        )
    changes = tuple(
        DoseChange(
            lesion_id=row["lesion_id"], volume_ml=float(row["volume_ml"]), reason=row["reason"].strip()
        )
        for row in rows
    )
    if len({change.lesion_id for change in changes}) < len(changes):
        raise RecordInputError(expected="one change of a lesion", given="two", where="dose_changes")
    return changes


def apply_edits(
    planned: PlannedDay, *, chosen: Iterable[str] = (), dose_changes: Iterable[DoseChange] = ()
) -> PlannedDay:
    """Return the day as people changed it: what is done is held against this.

    Parameters
    ----------
    planned
        As the planner wrote it.
    chosen
        Punctures that shall be used; a backup among them takes over its lesions from the first choice.
    dose_changes
        Deposits of these lesions are given in proportion, as far apart as they were planned.

    Raises
    ------
    RecordInputError
        If there is no such puncture, two chosen ones serve one lesion, a lesion has no planned deposit, or the
        visit's ceiling is passed.
    """
    after = _choose(planned, tuple(chosen))
    for change in dose_changes:
        after = _change_dose(after, change)
    total_ml = sum(lesion.to_give_ml for lesion in after.injected)
    if after is not planned and after.ceiling_ml is not None and total_ml > after.ceiling_ml + LEAST_ML:
        raise RecordInputError(
            expected=f"at most {after.ceiling_ml:g} mL, the protocol's ceiling of a visit",
            given=f"{total_ml:g} mL",
            where="dose_changes",
        )
    return after


def _choose(planned: PlannedDay, chosen: tuple[str, ...]) -> PlannedDay:
    wanted = [planned.punctures[name] for name in dict.fromkeys(chosen) if name in planned.punctures]
    if len(wanted) < len(chosen):
        raise RecordInputError(
            expected="punctures of this plan, each once", given="others", where="chosen_punctures"
        )
    served = [name for p in wanted if p.is_backup for name in {d.lesion_id for d in p.deposits}]
    idle = any(_is_served(puncture, served) for puncture in wanted if not puncture.is_backup)
    if len(set(served)) < len(served) or idle:
        raise RecordInputError(
            expected="one puncture for a lesion", given="two for one", where="chosen_punctures"
        )
    if not served:
        return planned
    punctures: dict[str, PlannedPuncture] = {}
    for name, puncture in planned.punctures.items():
        rest = tuple(deposit for deposit in puncture.deposits if deposit.lesion_id not in served)
        if name in chosen:
            punctures[name] = replace(puncture, is_backup=False)
        elif puncture.is_backup or len(rest) == len(puncture.deposits):
            punctures[name] = puncture
        elif rest:
            # It still serves others: what the backup takes over is no longer its own.
            punctures[name] = replace(puncture, deposits=rest)
        else:
            punctures[name] = replace(puncture, is_backup=True)
    after = replace(planned, punctures=MappingProxyType(punctures), chosen=chosen)
    lesions = dict(planned.lesions)
    for name in served:
        # A backup may find room for less: the rest is planned to stay in the syringe.
        left_ml = max(0.0, lesions[name].volume_ml - _sum_planned_ml(after, name))
        lesions[name] = replace(lesions[name], undelivered_ml=left_ml if left_ml > LEAST_ML else 0.0)
    return replace(after, lesions=MappingProxyType(lesions))


def _change_dose(planned: PlannedDay, change: DoseChange) -> PlannedDay:
    held_ml = _sum_planned_ml(planned, change.lesion_id)
    if change.lesion_id not in planned.lesions or held_ml < LEAST_ML:
        raise RecordInputError(
            expected="a lesion that the plan has a deposit for",
            given="another",
            where="dose_changes",
            action="plan again with that lesion",
        )
    factor = change.volume_ml / held_ml
    punctures = {
        name: replace(
            puncture,
            deposits=tuple(
                replace(deposit, volume_ml=deposit.volume_ml * factor)
                if deposit.lesion_id == change.lesion_id
                else deposit
                for deposit in puncture.deposits
                if factor > 0 or deposit.lesion_id != change.lesion_id
            ),
        )
        for name, puncture in planned.punctures.items()
    }
    lesion = replace(planned.lesions[change.lesion_id], volume_ml=change.volume_ml, undelivered_ml=0.0)
    return replace(
        planned,
        punctures=MappingProxyType(punctures),
        lesions=MappingProxyType({**planned.lesions, change.lesion_id: lesion}),
        dose_reasons=MappingProxyType({**planned.dose_reasons, change.lesion_id: change.reason}),
    )


def _is_served(puncture: PlannedPuncture, served: Sequence[str]) -> bool:
    return {deposit.lesion_id for deposit in puncture.deposits} <= set(served)


def _sum_planned_ml(planned: PlannedDay, lesion_id: str) -> float:
    return sum(
        deposit.volume_ml
        for puncture in planned.punctures.values()
        if not puncture.is_backup
        for deposit in puncture.deposits
        if deposit.lesion_id == lesion_id
    )


def _is_change(row: Any) -> bool:
    if not isinstance(row, Mapping) or set(row) != {"lesion_id", "volume_ml", "reason"}:
        return False
    name, volume_ml, reason = row["lesion_id"], row["volume_ml"], row["reason"]
    return (
        isinstance(name, str)
        and 0 < len(name) <= ID_MAX
        and isinstance(volume_ml, int | float)
        and not isinstance(volume_ml, bool)
        and 0 <= volume_ml < float("inf")
        and isinstance(reason, str)
        and 0 < len(reason.strip()) <= TEXT_MAX
    )
