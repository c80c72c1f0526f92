"""Tables about what was injected: by subject, and by lesion."""

from __future__ import annotations

from typing import Any, Final

from hepatica.trials.report.dosing import EACH, LESION, SUBJECT
from hepatica.trials.report.source import SourceTables
from hepatica.trials.report.tables import (
    ReportRow,
    ReportTable,
    Rows,
    head_columns,
    list_arms,
    say_absent,
    say_counts,
    say_spread,
    split_by_arm,
)

PER_LESION_COLUMNS: Final = ("Lesion", "Injections", "First day", "Last day", "Volume", "Dose")


def tabulate_dosing(exposure: Rows, subjects: Rows, tables: SourceTables) -> ReportTable:
    """Return injections, lesions injected, volumes and doses, by arm."""
    treated = [row for row in subjects if row["SAFFL"] == "Y"]
    arms = list_arms(treated)
    groups = split_by_arm(treated, arms)
    shared: dict[str, Any] = {
        "table_id": "dosing",
        "title": "Dosing",
        "population": "Treated: at least one dose",
        "denominator": "Medians are over treated subjects, lesions or injections as each line says.",
    }
    if "EX" not in tables:
        return ReportTable(absent=say_absent("EX"), **shared)

    def spread(label: str, chosen: Rows, level: int = 1) -> ReportRow:
        cells = tuple(
            say_spread([row["AVAL"] for row in chosen if row["USUBJID"] in g], digits=2) for g in groups
        )
        return ReportRow(label=label, cells=cells, level=level)

    rows: list[ReportRow] = []
    for drug in sorted({row["EXTRT"] for row in exposure}):
        mine = [row for row in exposure if row["EXTRT"] == drug]
        local = [row for row in mine if row["LNKID"]]
        rows.append(
            ReportRow(
                label=drug or "Treatment not named", cells=say_counts({r["USUBJID"] for r in mine}, groups)
            )
        )
        if local:
            totals = [r for r in mine if r["PARAMCD"] == "NINJ" and r["PARCAT1"] == SUBJECT]
            rows.append(spread("Injections in a subject", totals))
            rows.append(_count_lesions(local, groups))
            rows.append(
                spread(
                    "Injections in a lesion",
                    [r for r in local if r["PARAMCD"] == "NINJ" and r["PARCAT1"] == LESION],
                )
            )
        for category, place in (
            (EACH, "one injection" if local else "one dose"),
            (LESION, "a lesion"),
            (SUBJECT, "a subject"),
        ):
            found = [r for r in mine if r["PARCAT1"] == category and r["PARAMCD"] != "NINJ"]
            for name, unit in sorted({(r["PARAM"], r["AVALU"]) for r in found}):
                chosen = [r for r in found if (r["PARAM"], r["AVALU"]) == (name, unit)]
                rows.append(spread(f"{name.capitalize()} in {place}, {unit or 'unit not given'}", chosen))
    return ReportTable(
        stub="Median (range)",
        columns=head_columns(arms, groups),
        rows=tuple(rows),
        notes=(
            "Doses in different units are never added.",
            "The treatment's own line counts subjects (percent).",
        ),
        **shared,
    )


def _count_lesions(local: Rows, groups: Any) -> ReportRow:
    cells = []
    for group in groups:
        counts: dict[str, set[str]] = {}
        for row in local:
            if row["USUBJID"] in group:
                counts.setdefault(row["USUBJID"], set()).add(row["LNKID"])
        cells.append(say_spread([float(len(names)) for names in counts.values()], digits=0))
    return ReportRow(label="Lesions injected in a subject", cells=tuple(cells), level=1)


def tabulate_lesion_doses(exposure: Rows, tables: SourceTables) -> ReportTable:
    """Return one line for each lesion injected: how often, when, how much."""
    shared: dict[str, Any] = {
        "table_id": "lesion-doses",
        "title": "Dose by lesion",
        "population": "Lesions injected at least once",
        "denominator": "One line for each subject and lesion; days count from the first dose, which is day 1.",
    }
    if not tables.has("EX", "EXLNKID"):
        return ReportTable(absent=say_absent("EX with EXLNKID"), **shared)
    lesions: dict[tuple[str, str], list[Any]] = {}
    for row in exposure:
        if row["LNKID"]:
            lesions.setdefault((row["USUBJID"], row["LNKID"]), []).append(row)
    rows = []
    for (subject, lesion), found in sorted(lesions.items()):
        days = [row["ADY"] for row in found if row["PARCAT1"] == EACH and row["ADY"] is not None]
        count = sum(row["AVAL"] for row in found if row["PARAMCD"] == "NINJ")
        rows.append(
            ReportRow(
                label=subject,
                cells=(
                    lesion,
                    f"{count:.0f}",
                    str(min(days, default="-")),
                    str(max(days, default="-")),
                    _say_total(found, "CUMVOLUM"),
                    _say_total(found, "CUMDOSE"),
                ),
            )
        )
    return ReportTable(stub="Subject", columns=PER_LESION_COLUMNS, rows=tuple(rows), **shared)


def _say_total(found: Rows, code: str) -> str:
    parts = [f"{_say(row['AVAL'])} {row['AVALU']}".strip() for row in found if row["PARAMCD"] == code]
    return "; ".join(parts) or "-"


def _say(value: float) -> str:
    return say_spread([value], digits=2).partition(" ")[0]
