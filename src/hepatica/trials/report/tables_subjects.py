"""Tables about who took part: disposition, and demographics."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

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

NOT_GIVEN: Final = "Not given"
TRAITS: Final = (("Sex", "SEX"), ("Race", "RACE"), ("Tumour type", "TUMTYPE"))
SEXES: Final = {"M": "Male", "F": "Female", "U": "Unknown", "UNDIFFERENTIATED": "Undifferentiated"}


def tabulate_disposition(subjects: Rows, tables: SourceTables) -> ReportTable:
    """Return who was screened, enrolled, treated, and how they left."""
    shared = {
        "table_id": "disposition",
        "title": "Disposition",
        "population": "All subjects in DM",
        "denominator": "Percentages are of the enrolled subjects in each column.",
        "stub": "Subjects",
    }
    enrolled = [row for row in subjects if row["ENRLFL"] == "Y"]
    arms = list_arms(enrolled)
    groups = split_by_arm(enrolled, arms)

    def line(label: str, chosen: Collection[str], level: int = 1) -> ReportRow:
        return ReportRow(label=label, cells=say_counts(chosen, groups), level=level)

    def pick(name: str, value: str) -> set[str]:
        return {row["USUBJID"] for row in enrolled if row[name] == value}

    rows = [
        ReportRow(label="In DM", cells=(*("" for _ in arms), str(len(subjects))), level=0),
        ReportRow(
            label="Not enrolled (screen failure)",
            cells=(*("" for _ in arms), str(len(subjects) - len(enrolled))),
            level=1,
        ),
        line("Enrolled", groups[-1], 0),
        line("Treated (at least one dose)", pick("SAFFL", "Y")),
        line("Not treated", pick("SAFFL", "N")),
    ]
    notes = []
    if "DS" in tables:
        for label, status in (
            ("Completed", "COMPLETED"),
            ("Ongoing", "ONGOING"),
            ("Left early", "DISCONTINUED"),
        ):
            rows.append(line(label, pick("EOSSTT", status), 0))
        for reason in sorted({row["DCSREAS"] for row in enrolled if row["DCSREAS"]}):
            rows.append(line(reason.capitalize(), pick("DCSREAS", reason)))
    else:
        notes.append(f"Completion and reasons for leaving {say_absent('DS')}.")
    rows.append(line("Died at any time", pick("DTHFL", "Y"), 0))
    return ReportTable(columns=head_columns(arms, groups), rows=tuple(rows), notes=tuple(notes), **shared)


def tabulate_demographics(subjects: Rows) -> ReportTable:
    """Return age, sex, race and tumour type of the treated subjects."""
    treated = [row for row in subjects if row["SAFFL"] == "Y"]
    arms = list_arms(treated)
    groups = split_by_arm(treated, arms)
    in_years = [row for row in treated if row["AGE"] is not None and row["AGEU"] in ("YEARS", "")]
    ages: list[ReportRow] = [
        ReportRow(
            label="Age in years, median (range)",
            cells=tuple(
                say_spread([float(row["AGE"]) for row in in_years if row["USUBJID"] in group], digits=0)
                for group in groups
            ),
        )
    ]
    for word in ("<65", "65-74", ">=75"):
        chosen = {row["USUBJID"] for row in in_years if row["AGEGR1"] == word}
        label = word.replace("<", "Below ").replace(">=75", "75 and above").replace("65-74", "65 to 74")
        ages.append(ReportRow(label=label, cells=say_counts(chosen, groups), level=1))
    rows, notes = ages, []
    if len(in_years) < len(treated):
        missing = {row["USUBJID"] for row in treated} - {row["USUBJID"] for row in in_years}
        rows.append(ReportRow(label=NOT_GIVEN, cells=say_counts(missing, groups), level=1))
    for title, variable in TRAITS:
        if not any(row[variable] for row in treated):
            notes.append(f"{title} not reported: no such variable or no value in the input.")
            continue
        rows.append(ReportRow(label=title, cells=tuple("" for _ in groups)))
        rows += _count_values(treated, variable, groups)
    return ReportTable(
        table_id="demographics",
        title="Demographics and tumour type",
        population="Treated: at least one dose",
        denominator="Percentages are of the treated subjects in each column.",
        stub="Characteristic",
        columns=head_columns(arms, groups),
        rows=tuple(rows),
        notes=tuple(notes),
        absent="" if treated else "not reported: nobody was treated",
    )


def _count_values(treated: Rows, variable: str, groups: Sequence[Collection[str]]) -> list[ReportRow]:
    counts: dict[str, set[str]] = {}
    for row in treated:
        counts.setdefault(row[variable], set()).add(row["USUBJID"])
    ordered = sorted(counts, key=lambda word: (word == "", -len(counts[word]), word))
    return [
        ReportRow(label=_name_value(variable, word), cells=say_counts(counts[word], groups), level=1)
        for word in ordered
    ]


def _name_value(variable: str, word: str) -> str:
    if not word:
        return NOT_GIVEN
    if variable == "SEX":
        return SEXES.get(word, word)
    return word.capitalize() if word.isupper() else word
