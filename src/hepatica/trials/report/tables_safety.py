"""Tables about safety: overview, dose-limiting toxicities, events by class, term, grade and cause."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from hepatica.trials.report.source import SourceTables
from hepatica.trials.report.tables import (
    ReportRow,
    ReportTable,
    Rows,
    head_columns,
    list_arms,
    say_absent,
    say_counts,
    say_interval,
    say_share,
    split_by_arm,
)
from hepatica.trials.report.words import ReportWords

GRADES: Final = (1, 2, 3, 4, 5)
SERIOUS_GRADE: Final = 3
POPULATION: Final = "Treated: at least one dose"
DENOMINATOR: Final = (
    "Percentages are of the treated subjects in each column; each subject counts once in a line."
)


def select_emergent(events: Rows) -> list[Mapping[str, Any]]:
    """Return treatment-emergent events of treated subjects."""
    return [row for row in events if row["TRTEMFL"] == "Y" and row["SAFFL"] == "Y"]


def tabulate_safety_overview(events: Rows, subjects: Rows, tables: SourceTables) -> ReportTable:
    """Return subjects with any, serious, severe, related and fatal events."""
    treated = [row for row in subjects if row["SAFFL"] == "Y"]
    shared: dict[str, Any] = {
        "table_id": "safety-overview", "title": "Adverse events: overview", "population": POPULATION,
        "denominator": DENOMINATOR, "stub": "Subjects with a treatment-emergent event",
    }  # fmt: skip
    if "AE" not in tables:
        return ReportTable(absent=say_absent("AE"), **shared)
    arms = list_arms(treated)
    groups = split_by_arm(treated, arms)
    emergent = select_emergent(events)
    lines: tuple[tuple[str, Callable[[Mapping[str, Any]], bool], bool], ...] = (
        ("Any", lambda row: True, True),
        ("Grade 3 or higher", lambda row: (row["ATOXGRN"] or 0) >= SERIOUS_GRADE, _any(emergent, "ATOXGRN")),
        ("Grade 5", lambda row: row["ATOXGRN"] == GRADES[-1], _any(emergent, "ATOXGRN")),
        ("Serious", lambda row: row["AESER"] == "Y", _any(emergent, "AESER")),
        ("Related to the agent", lambda row: row["RELAGFL"] == "Y", _any(emergent, "RELAGFL")),
        ("Related to the procedure", lambda row: row["RELPRFL"] == "Y", _any(emergent, "RELPRFL")),
        ("Related to both", lambda row: row["ACAUSE"] == "BOTH", _any(emergent, "RELPRFL")),
    )
    rows = []
    for label, fits, known in lines:
        chosen = {row["USUBJID"] for row in emergent if fits(row)}
        cells = say_counts(chosen, groups) if known else tuple("not reported" for _ in groups)
        rows.append(ReportRow(label=label, cells=cells, level=0 if label == "Any" else 1))
    unknown = sum(row["TRTEMFL"] == "" and row["SAFFL"] == "Y" for row in events)
    notes = (
        [f"{unknown} event(s) whose dates do not tell whether they are emergent are not counted."]
        if unknown
        else []
    )
    return ReportTable(
        columns=head_columns(arms, groups), rows=tuple(rows),
        notes=(*notes, "Relations are the site's; agent and procedure are asked apart."), **shared,
    )  # fmt: skip


def _any(events: Rows, name: str) -> bool:
    return not events or any(row[name] not in ("", None) for row in events)


def tabulate_dlt(events: Rows, subjects: Rows, tables: SourceTables, *, words: ReportWords) -> ReportTable:
    """Return dose-limiting toxicities as the trial recorded them, by arm, with exact intervals."""
    treated = [row for row in subjects if row["SAFFL"] == "Y"]
    shared: dict[str, Any] = {
        "table_id": "dlt", "title": "Dose-limiting toxicities", "population": POPULATION,
        "denominator": "All treated subjects of the arm, also those whose window was not complete.",
        "stub": "Arm",
    }  # fmt: skip
    if "AE" not in tables:
        return ReportTable(absent=say_absent("AE"), **shared)
    flag = words.find_variable("dlt_flag", tables.tables["AE"].columns)
    if not flag:
        names = ", ".join(words.variables["dlt_flag"])
        return ReportTable(
            absent=say_absent(f"flag of dose-limiting toxicity in AE or SUPPAE ({names})"), **shared
        )
    arms = list_arms(treated)
    conf = words.confidence.number
    rows = []
    for arm, group in zip((*arms, "All"), split_by_arm(treated, arms)):
        found = [row for row in events if row["DLTFL"] == "Y" and row["USUBJID"] in group]
        count = len({row["USUBJID"] for row in found})
        terms = sorted({f"{row['AEDECOD']} (grade {row['ATOXGR'] or '?'})" for row in found})
        shown = "; ".join(terms[:6]) + (f"; and {len(terms) - 6} more" if len(terms) > 6 else "")
        rows.append(
            ReportRow(
                label=arm,
                cells=(
                    str(len(group)),
                    say_share(count, len(group)),
                    say_interval(count, len(group), conf=conf),
                    "see the arms" if arm == "All" and terms else shown or "-",
                ),
            )
        )
    return ReportTable(
        columns=("Treated", "With DLT (%)", f"{100 * conf:g} % interval", "Terms"), rows=tuple(rows),
        notes=(f"As recorded in {flag}; not derived anew. Intervals are exact (Clopper-Pearson), in percent.",),
        **shared,
    )  # fmt: skip


def tabulate_events(events: Rows, subjects: Rows, tables: SourceTables) -> ReportTable:
    """Return events by class and term: any grade, each worst grade, and by cause."""
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    shared: dict[str, Any] = {
        "table_id": "events", "title": "Adverse events by class, term, worst grade and cause",
        "population": POPULATION, "stub": "System organ class, preferred term",
        "denominator": f"N = {len(treated)} treated subjects in every cell; each subject counts once, "
        f"with the worst grade.",
    }  # fmt: skip
    if "AE" not in tables:
        return ReportTable(absent=say_absent("AE"), **shared)
    emergent = select_emergent(events)
    rows = [_count_line("Any event", emergent, treated, level=0)]
    systems: dict[str, list[Mapping[str, Any]]] = {}
    for row in emergent:
        systems.setdefault(row["AEBODSYS"], []).append(row)
    for system in sorted(systems, key=lambda name: (-_people(systems[name]), name)):
        rows.append(_count_line(system, systems[system], treated, level=0))
        terms: dict[str, list[Mapping[str, Any]]] = {}
        for row in systems[system]:
            terms.setdefault(row["AEDECOD"], []).append(row)
        rows += [
            _count_line(term, terms[term], treated, level=1)
            for term in sorted(terms, key=lambda name: (-_people(terms[name]), name))
        ]
    return ReportTable(
        columns=("Any", *(f"Grade {grade}" for grade in GRADES), "Grade not given", "Agent", "Procedure"),
        rows=tuple(rows),
        notes=(
            "Treatment-emergent events. Agent and Procedure: at least one event with that relation; a "
            "subject may be in both.",
            "A cell without events is a dash; 'n.r.' where the relation was never recorded.",
        ),
        **shared,
    )  # fmt: skip


def _people(events: Rows) -> int:
    return len({row["USUBJID"] for row in events})


def _count_line(
    label: str, events: Sequence[Mapping[str, Any]], treated: Collection[str], *, level: int
) -> ReportRow:
    worst: dict[str, int] = {}
    for row in events:
        worst[row["USUBJID"]] = max(worst.get(row["USUBJID"], 0), row["ATOXGRN"] or 0)
    whole = len(treated)
    counts = [len(worst), *(sum(value == grade for value in worst.values()) for grade in (*GRADES, 0))]
    cells = [_dash(say_share(count, whole)) for count in counts]
    for flag in ("RELAGFL", "RELPRFL"):
        known = any(row[flag] for row in events) or not events
        cells.append(
            _dash(say_share(_people([r for r in events if r[flag] == "Y"]), whole)) if known else "n.r."
        )
    return ReportRow(label=label, cells=tuple(cells), level=level)


def _dash(text: str) -> str:
    return "-" if text == "0" else text
