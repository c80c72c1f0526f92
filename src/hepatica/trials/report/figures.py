"""What the figures of a report show, as values: waterfall, spider, swimmer. Forest and curves are in the tables."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hepatica.core.findings import NotEvaluable
from hepatica.followup.curves import CurvePoint
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import Rows
from hepatica.trials.report.tables_response import RESPONSES, Assessor, BasketRate, select_best
from hepatica.trials.report.tables_times import ArmComparison, TimeCurve

DAYS_PER_MONTH = 30.4375
"""365.25 / 12."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLine:
    """Target sum of one subject and group over time.

    Parameters
    ----------
    subject
        USUBJID.
    best
        Best response; empty for not assessed.
    points
        Month since baseline and change in percent.
    """

    subject: str
    best: str
    points: tuple[tuple[float, float], ...]

    @property
    def best_change(self) -> float | None:
        """Smallest change after baseline; None where nothing was measured after it."""
        return min((change for month, change in self.points if month > 0), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwimmerLane:
    """One subject from the first dose.

    Parameters
    ----------
    subject, tumour
        Who, and tumour type.
    months
        Known alive, or to death.
    injections
        Months of injections.
    response, progression, therapy, death
        Month of each; None for none.
    best
        Best response.
    ongoing
        Whether the subject is still followed.
    """

    subject: str
    tumour: str
    months: float
    injections: tuple[float, ...] = ()
    response: float | None = None
    progression: float | None = None
    therapy: float | None = None
    death: float | None = None
    best: str = ""
    ongoing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFigures:
    """All that the pictures show; an empty one is named with its reason in ``absent``.

    Parameters
    ----------
    changes
        By group of lesions.
    lanes
        Swimmer, the longest first.
    baskets
        Forest.
    curves
        Kaplan-Meier, of all subjects and of each arm.
    comparisons
        Of two arms.
    absent
        Reason by picture.
    """

    changes: Mapping[ResponseGroup, tuple[ChangeLine, ...]]
    lanes: tuple[SwimmerLane, ...]
    baskets: tuple[BasketRate, ...]
    curves: tuple[TimeCurve, ...]
    absent: Mapping[str, str]
    comparisons: tuple[ArmComparison, ...] = ()


def derive_change_line(subject: str, points: Sequence[CurvePoint], *, best: str) -> ChangeLine:
    """Return the measured points of a sum, with baseline at month 0."""
    known = tuple(
        (point.day / DAYS_PER_MONTH, float(point.change_percent))
        for point in points
        if not isinstance(point.change_percent, NotEvaluable)
    )
    return ChangeLine(subject=subject, best=best, points=known)


def derive_lanes(
    subjects: Rows,
    exposure: Rows,
    responses: Rows,
    times: Rows,
    *,
    assessor: Assessor,
    therapies: Mapping[str, Any],
) -> tuple[SwimmerLane, ...]:
    """Return one lane for each treated subject with a time of survival, the longest first.

    Parameters
    ----------
    subjects, exposure, responses, times
        ADSL, ADEX, ADRS, ADTTE.
    assessor
        Whose assessments.
    therapies
        Day of the first new anticancer therapy, by subject.
    """
    injected: dict[str, set[float]] = {}
    for row in exposure:
        if row["PARCAT1"] == "INJECTION" and row["ADY"] is not None and (row["LNKID"] or row["ROUTEFL"]):
            injected.setdefault(row["USUBJID"], set()).add(_to_month(row["ADY"]))
    survival = {row["USUBJID"]: row for row in times if row["PARAMCD"] == "OS"}
    ends = {r["USUBJID"]: r for r in times if r["PARAMCD"] == "PFS" and assessor.assessed(r, "")}
    best = select_best(responses, code="BOR", group="", assessor=assessor)
    first = _find_first(responses, assessor)
    lanes = []
    for row in subjects:
        subject, start = row["USUBJID"], row["TRTSDT"]
        if row["SAFFL"] != "Y" or start is None or subject not in survival:
            continue
        last, end = survival[subject], ends.get(subject)
        progressed = end is not None and end["CNSR"] == 0 and "rogression" in end["EVNTDESC"]
        day = therapies.get(subject)
        months = (last["ADT"] - start).days / DAYS_PER_MONTH
        lanes.append(
            SwimmerLane(
                subject=subject,
                tumour=row["TUMTYPE"],
                months=months,
                injections=tuple(sorted(injected.get(subject, ()))),
                response=_months_between(start, first.get(subject)),
                progression=_months_between(start, end["ADT"]) if end is not None and progressed else None,
                therapy=_months_between(start, day),
                death=months if last["CNSR"] == 0 else None,
                best=best.get(subject, ""),
                ongoing=row["EOSSTT"] == "ONGOING",
            )
        )
    return tuple(sorted(lanes, key=lambda lane: (-lane.months, lane.subject)))


def _find_first(responses: Rows, assessor: Assessor) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in responses:
        if row["PARAMCD"] == "OVR" and row["AVALC"] in RESPONSES and assessor.assessed(row, ""):
            day = found.get(row["USUBJID"])
            found[row["USUBJID"]] = row["ADT"] if day is None else min(day, row["ADT"])
    return found


def _to_month(study_day: int) -> float:
    return (study_day - 1 if study_day > 0 else study_day) / DAYS_PER_MONTH


def _months_between(start: Any, day: Any) -> float | None:
    return None if day is None else (day - start).days / DAYS_PER_MONTH


def count_measured(lines: Collection[ChangeLine]) -> int:
    """Return how many lines have a change after baseline."""
    return sum(line.best_change is not None for line in lines)
