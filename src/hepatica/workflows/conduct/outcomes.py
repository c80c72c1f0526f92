"""Response and survival of a trial as the report of the record derives them, as plain values for charts and tables."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, Final

from hepatica.followup.verdict import Criterion
from hepatica.trials.phase2.intervals import ProportionInterval
from hepatica.trials.report.figures import ChangeLine
from hepatica.trials.report.group_rates import GroupRate, derive_group_rates
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import ReportTable
from hepatica.trials.report.tables_times import TimeCurve
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.record_tables import read_tables_of_sites, write_record_tables
from hepatica.workflows.report_record import ORIGIN
from hepatica.workflows.trial_report import (
    DerivedTrial,
    TrialReportPorts,
    TrialReportRequest,
    derive_trial,
)

SHOWN: Final = ("response", "times")
"""Tables of the report beside the charts."""
FINDINGS_MOST: Final = 100
RISK_MONTHS: Final = (1, 3, 6, 12)
RISK_COLUMNS_MOST: Final = 10
PLACES: Final = 6


def derive_trial_outcomes(
    context: RecordContext, *, ports: TrialReportPorts, criterion: str, rules: str
) -> dict[str, Any]:
    """Return response, waterfall and curves of all patients at the person's sites.

    Parameters
    ----------
    context
        Who asks; needs the right ``trial.read``.
    ports
        As of the trial report.
    criterion
        ``recist-1.1`` or ``mrecist``.
    rules
        Censoring rules.

    Raises
    ------
    NotFoundError
        If there is no patient at the person's sites.
    """
    tables = read_tables_of_sites(context, criterion=criterion)
    with ports.data.open_room() as room:
        write_record_tables(tables, room, write_table=ports.data.write_table)
        request = TrialReportRequest(
            folder=room,
            rules=rules,
            criterion=Criterion(criterion),
            origin=ORIGIN,
            notes=tuple(tables.findings),
        )
        found = derive_trial(request, ports=ports)
    return {**to_outcomes_document(found), "sites": _list_sites(found), "subjects": tables.subjects}


def to_outcomes_document(found: DerivedTrial) -> dict[str, Any]:
    """Return plain values of what a trial report shows of response and survival.

    Parameters
    ----------
    found
        From `derive_trial`.
    """
    content, data = found.content, found.data
    rates = derive_group_rates(
        data.datasets["ADRS"],
        data.datasets["ADSL"],
        data.members,
        assessor=found.assessor,
        conf=found.words.confidence.number,
    )
    return {
        "study": content.study,
        "simulated": content.simulated,
        "treated": sum(row["SAFFL"] == "Y" for row in data.datasets["ADSL"]),
        "facts": [list(fact) for fact in content.facts],
        "unverified": list(content.unverified),
        "partial": data.partial,
        "confidence": found.words.confidence.number,
        "absent": dict(content.figures.absent),
        "rates": [_to_rate(rate) for rate in rates],
        "waterfalls": [
            _to_waterfall(group, lines) for group, lines in content.figures.changes.items() if lines
        ],
        "curves": to_curve_documents(content.figures.curves),
        "tables": [_to_table(table) for table in content.tables if table.table_id in SHOWN],
        "findings": [finding.to_dict() for finding in content.findings[:FINDINGS_MOST]],
    }


def to_curve_documents(curves: Sequence[TimeCurve]) -> list[dict[str, Any]]:
    """Return Kaplan-Meier curves with numbers at risk; curves of one endpoint share their months.

    Parameters
    ----------
    curves
        Times in months.
    """
    last: dict[str, float] = {}
    for item in curves:
        last[item.code] = max(last.get(item.code, 0.0), float(item.curve.time[-1]))
    return [_to_curve(item, marks=list_risk_months(last[item.code])) for item in curves]


def list_risk_months(last_month: float) -> list[int]:
    """Return the months at which numbers at risk are given.

    Parameters
    ----------
    last_month
        Longest follow-up.

    Examples
    --------
    >>> list_risk_months(8.3)
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> list_risk_months(22.5)
    [0, 3, 6, 9, 12, 15, 18, 21, 24]
    """
    step = next(
        (months for months in RISK_MONTHS if last_month / months <= RISK_COLUMNS_MOST - 1), RISK_MONTHS[-1]
    )
    return [step * number for number in range(math.ceil(last_month / step) + 1)]


def _to_curve(item: TimeCurve, *, marks: Sequence[int]) -> dict[str, Any]:
    curve = item.curve
    times = [float(value) for value in curve.time]
    middle, low, high = curve.quantile()
    return {
        "code": item.code,
        "title": item.title,
        "group": item.group,
        "n": int(curve.n_risk[0]),
        "events": int(curve.n_event.sum()),
        "conf": curve.conf,
        "conf_type": curve.conf_type,
        "median": {"months": _plain(middle), "lower": _plain(low), "upper": _plain(high)},
        "steps": [
            {
                "month": _plain(times[i]),
                "n_risk": int(curve.n_risk[i]),
                "n_event": int(curve.n_event[i]),
                "n_censor": int(curve.n_censor[i]),
                "survival": _plain(curve.survival[i]),
                "lower": _plain(curve.lower[i]),
                "upper": _plain(curve.upper[i]),
            }
            for i in range(len(times))
        ],
        "at_risk": [{"month": month, "n": count_at_risk(times, curve.n_risk, month)} for month in marks],
    }


def count_at_risk(times: Sequence[float], n_risk: Sequence[Any], moment: float) -> int:
    """Return how many subjects were under observation just before a moment.

    Parameters
    ----------
    times, n_risk
        Distinct times, rising, and subjects at risk just before each.
    moment
        When.

    Examples
    --------
    >>> [count_at_risk([1.0, 2.0], [5, 3], moment) for moment in (0, 1, 1.5, 3)]
    [5, 5, 3, 0]
    """
    place = bisect_left(times, moment)
    return int(n_risk[place]) if place < len(times) else 0


def _list_sites(found: DerivedTrial) -> list[str]:
    return sorted({str(row.get("SITEID", "")) for row in found.data.datasets["ADSL"]})


def _to_rate(rate: GroupRate) -> dict[str, Any]:
    return {
        "group": str(rate.group),
        "title": rate.group.words,
        "n": rate.subjects,
        "counts": dict(rate.counts),
        "objective": _to_interval(rate.objective),
        "confirmed": _to_interval(rate.confirmed),
        "control": _to_interval(rate.control),
    }


def _to_interval(found: ProportionInterval) -> dict[str, float]:
    return {"estimate": found.estimate, "lower": found.lower, "upper": found.upper}


def _to_waterfall(group: ResponseGroup, lines: Sequence[ChangeLine]) -> dict[str, Any]:
    """Return one bar for each measured subject, the largest growth first."""
    measured = [line for line in lines if line.best_change is not None]
    measured.sort(key=lambda line: (-(line.best_change or 0.0), line.subject))
    return {
        "group": str(group),
        "title": group.words,
        "bars": [
            {"subject": line.subject, "best": line.best, "change_percent": _plain(line.best_change)}
            for line in measured
        ],
        "unmeasured": [line.subject for line in lines if line.best_change is None],
    }


def _to_table(table: ReportTable) -> dict[str, Any]:
    return {
        "table_id": table.table_id,
        "title": table.title,
        "population": table.population,
        "denominator": table.denominator,
        "stub": table.stub,
        "columns": list(table.columns),
        "rows": [{"label": row.label, "cells": list(row.cells), "level": row.level} for row in table.rows],
        "notes": list(table.notes),
        "absent": table.absent,
    }


def _plain(value: Any) -> float | None:
    """Return a number as JSON has it: no NaN, and no digits that rounding made up."""
    return None if value is None or math.isnan(float(value)) else round(float(value), PLACES)
