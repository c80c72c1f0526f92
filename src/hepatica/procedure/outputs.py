"""What a day hands on: injection history, exposure rows, the visit, dates of lesions, the table of the day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from typing import Any, Final

from hepatica.core.findings import Finding, NotEvaluable
from hepatica.procedure.compare import Comparison, DepositRow, LesionRow
from hepatica.procedure.entry import Entry
from hepatica.procedure.entry_kind import Phase
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.state import DayState

INJECTION_COLUMNS: Final = ("subject", "lesion", "date")
EVENT_COLUMNS: Final = ("subject", "visit", "date", "status", "number")
EXPOSURE_COLUMNS: Final = (
    "STUDYID", "DOMAIN", "USUBJID", "EXSEQ", "EXLNKID", "EXTRT", "EXDOSE", "EXDOSU", "EXLOT", "EXROUTE",
    "EXADJ", "VISITNUM", "EXSTDTC", "EXENDTC",
)  # fmt: skip
PERFORMED_COLUMNS: Final = (
    "lesion", "deposit", "planned_ml", "given_ml", "leaked_ml", "planned_depth_mm", "depth_mm",
    "tip_deviation_mm", "stop_reason", "reason",
)  # fmt: skip
INJECTION_VISIT: Final = "injection"
"""Name of the injection visits in the packaged schedules."""


def list_injected_dates(day: DayState) -> Mapping[str, tuple[date, ...]]:
    """Return, by lesion, the days on which something was given to it, as days on the wall where it happened."""
    found: dict[str, set[date]] = {}
    for entry in _list_given(day):
        found.setdefault(entry.text("lesion_id"), set()).add(entry.occurred_at.date())
    return {name: tuple(sorted(days)) for name, days in sorted(found.items())}


def to_injection_rows(
    day: DayState, *, subject: str, lesion_names: Mapping[str, str] | None = None
) -> tuple[dict[str, str], ...]:
    """Return the injection history that the response by injected and non-injected lesions reads.

    Parameters
    ----------
    day
        The day.
    subject
        Identifier in the trial, never a name.
    lesion_names
        Name of each lesion in the tumour tables; its name in the plan where absent.
    """
    names = lesion_names or {}
    return tuple(
        {"subject": subject, "lesion": names.get(name, name), "date": on.isoformat()}
        for name, days in list_injected_dates(day).items()
        for on in days
    )


def to_visit_event(day: DayState, planned: PlannedDay, *, subject: str) -> dict[str, str] | None:
    """Return the visit as a row of the table of events, or None while nothing is decided.

    Parameters
    ----------
    day, planned
        The day and its plan.
    subject
        Identifier in the trial, never a name.
    """
    given = _list_given(day)
    if given:
        on, status = min(entry.occurred_at for entry in given).date(), "done"
    elif day.phase is Phase.CANCELLED and day.last_at is not None:
        on, status = day.last_at.date(), "missed"
    else:
        return None
    return {
        "subject": subject,
        "visit": INJECTION_VISIT,
        "date": on.isoformat(),
        "status": status,
        "number": str(planned.visit),
    }


def to_exposure_rows(
    day: DayState,
    planned: PlannedDay,
    *,
    study: str,
    subject: str,
    lesion_names: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], ...]:
    """Return one row of SDTM EX for each lesion that got something.

    The amount is empty while it is contradicted or the strength is unknown. ``EXLNKID`` names the lesion.

    Parameters
    ----------
    day, planned
        The day and its plan.
    study, subject
        STUDYID and USUBJID.
    lesion_names
        As in `to_injection_rows`.
    """
    names = lesion_names or {}
    rows = []
    for number, row in enumerate((row for row in day.comparison.lesions if row.deposits), start=1):
        given = [entry for entry in _list_given(day) if entry.text("lesion_id") == row.lesion_id]
        times = [entry.occurred_at for entry in given]
        rows.append(
            {
                "STUDYID": study,
                "DOMAIN": "EX",
                "USUBJID": subject,
                "EXSEQ": str(number),
                "EXLNKID": names.get(row.lesion_id, row.lesion_id),
                "EXTRT": planned.agent.upper(),
                "EXDOSE": "" if isinstance(row.dose, NotEvaluable) else f"{row.dose:.10g}",
                "EXDOSU": row.dose_unit.upper() if row.dose_unit != "ml" else "mL",
                "EXLOT": "; ".join(_list_lots(day, given)),
                "EXROUTE": "INTRATUMOR",
                "EXADJ": _find_reason(day.comparison, row) or planned.dose_reasons.get(row.lesion_id, ""),
                "VISITNUM": str(planned.visit),
                "EXSTDTC": _to_dtc(min(times)),
                "EXENDTC": _to_dtc(max(times)),
            }
        )
    return tuple(rows)


def to_performed_rows(day: DayState) -> tuple[dict[str, str], ...]:
    """Return planned against performed as a table: each lesion, then its deposits."""
    reasons = {deviation.key: deviation.reason for deviation in day.comparison.deviations}
    tips = {
        (tip.puncture_id, tip.track): tip.deviation_mm
        for tip in day.comparison.tips
        if not isinstance(tip.deviation_mm, NotEvaluable)
    }
    rows = []
    for lesion in day.comparison.lesions:
        rows.append(_to_lesion_cells(lesion, reasons))
        rows += [
            _to_deposit_cells(
                deposit,
                reasons,
                tips.get((deposit.puncture_id, deposit.track or 1)) if deposit.entry_ids else None,
            )
            for deposit in day.comparison.deposits
            if deposit.lesion_id == lesion.lesion_id
        ]
    return tuple(rows)


def to_day_document(
    day: DayState, planned: PlannedDay, *, findings: Sequence[Finding], as_of: datetime
) -> dict[str, Any]:
    """Return where the day stands as JSON.

    Parameters
    ----------
    day, planned
        The day and its plan.
    findings
        From `hepatica.procedure.check_day.check_day`.
    as_of
        The moment it was looked at.
    """
    return {
        "plan_id": planned.plan_id,
        "visit": planned.visit,
        "agent": planned.agent,
        "as_of": as_of.isoformat(),
        "phase": day.phase.value,
        "chosen_punctures": list(planned.chosen),
        "dose_changes": [
            {"lesion_id": name, "volume_ml": planned.lesions[name].volume_ml, "reason": reason}
            for name, reason in planned.dose_reasons.items()
        ],
        "open_checks": [
            {"check": check.name, "text": check.text, "blocks": list(check.blocks)}
            for check in day.open_checks
        ],
        "next": [
            {"kind": entry.kind, "allowed": entry.allowed, "reasons": list(entry.reasons)}
            for entry in day.next_entries
        ],
        "totals": _to_totals(day, planned),
        "lesions": [_to_document(row) for row in day.comparison.lesions],
        "deposits": [_to_document(row) for row in day.comparison.deposits],
        "tips": [_to_document(row) for row in day.comparison.tips],
        "deviations": [_to_document(row) for row in day.comparison.deviations],
        "needles": [_to_document(needle) for needle in day.needles.values()],
        "syringes": [
            _to_document(syringe) | {"left_ml": syringe.left_ml} for syringe in day.supply.syringes.values()
        ],
        "vials": [
            {
                "vial_id": vial.vial_id,
                "lot": vial.lot,
                "drawn_ml": vial.drawn_ml,
                "left_ml": vial.left_ml,
            }
            for vial in day.supply.vials.values()
        ],
        "replaced": dict(day.settled.replaced_by),
        "findings": [_to_finding(finding) for finding in findings],
    }


def _to_totals(day: DayState, planned: PlannedDay) -> dict[str, Any]:
    given = [row.given_ml for row in day.comparison.lesions]
    leaked = [row.leaked_ml for row in day.comparison.lesions]
    return {
        "planned_ml": sum(lesion.to_give_ml for lesion in planned.injected),
        "drawn_ml": day.supply.drawn_ml,
        "given_ml": _or_reason(sum_all(given)),
        "leaked_ml": _or_reason(sum_all(leaked)),
    }


def sum_all(values: Sequence[float | NotEvaluable]) -> float | NotEvaluable:
    """Return a sum, or the first reason why there is none."""
    total = 0.0
    for value in values:
        if isinstance(value, NotEvaluable):
            return value
        total += value
    return total


def _list_given(day: DayState) -> list[Entry]:
    return [entry for entry in day.live if entry.kind == "deposit"]


def _list_lots(day: DayState, given: Sequence[Entry]) -> list[str]:
    names = [
        name
        for entry in given
        if entry.text("syringe_id") in day.supply.syringes
        for name in day.supply.syringes[entry.text("syringe_id")].vial_ids
    ]
    lots = [day.supply.vials[name].lot for name in names if name in day.supply.vials]
    return list(dict.fromkeys(lots))


def _find_reason(comparison: Comparison, row: LesionRow) -> str:
    found = [
        deviation.reason for deviation in comparison.deviations if deviation.key == f"volume:{row.lesion_id}"
    ]
    return found[0] if found else row.stop_reason


def _to_dtc(moment: datetime) -> str:
    """Return a time as CDISC writes it: as on the wall where it happened, to the second."""
    return moment.replace(tzinfo=None).isoformat(timespec="seconds")


def _to_lesion_cells(row: LesionRow, reasons: Mapping[str, str]) -> dict[str, str]:
    return {
        "lesion": row.lesion_id,
        "deposit": "",
        "planned_ml": _to_cell(row.planned_ml - row.no_place_ml),
        "given_ml": _to_cell(row.given_ml),
        "leaked_ml": _to_cell(row.leaked_ml),
        "planned_depth_mm": "",
        "depth_mm": "",
        "tip_deviation_mm": _to_cell(row.tip_deviation_mm, decimals=1),
        "stop_reason": row.stop_reason,
        "reason": reasons.get(f"volume:{row.lesion_id}", reasons.get(f"lesion:{row.lesion_id}", "")),
    }


def _to_deposit_cells(row: DepositRow, reasons: Mapping[str, str], tip_mm: float | None) -> dict[str, str]:
    return {
        "lesion": row.lesion_id,
        "deposit": row.key,
        "planned_ml": _to_cell(row.planned_ml),
        "given_ml": _to_cell(row.given_ml),
        "leaked_ml": _to_cell(row.leaked_ml),
        "planned_depth_mm": _to_cell(row.planned_depth_mm, decimals=1),
        "depth_mm": _to_cell(row.depth_mm, decimals=1),
        "tip_deviation_mm": _to_cell(tip_mm, decimals=1),
        "stop_reason": row.stop_reason,
        "reason": reasons.get(f"deposit:{row.key}", ""),
    }


def _to_cell(value: float | NotEvaluable | None, *, decimals: int = 3) -> str:
    if value is None or isinstance(value, NotEvaluable):
        return ""
    return f"{value:.{decimals}f}"


def _to_document(row: Any) -> dict[str, Any]:
    return {field.name: _or_reason(getattr(row, field.name)) for field in fields(row)}


def _or_reason(value: Any) -> Any:
    if isinstance(value, NotEvaluable):
        return {"not_evaluable": value.reason}
    return list(value) if isinstance(value, tuple) else value


def _to_finding(finding: Finding) -> dict[str, Any]:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "message": finding.message,
        "measured": finding.measured,
        "limit": finding.limit,
        "unit": finding.unit,
        "source": finding.source,
        "status": finding.status.value if finding.status else None,
        "subject": finding.subject,
    }
