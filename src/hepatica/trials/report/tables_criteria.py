"""The same patients by other criteria: RECIST 1.1, iRECIST and the itRECIST-based reading side by side."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import Any, Final

from hepatica.followup.criteria.itrecist import Group
from hepatica.trials.report.tables import (
    ReportRow,
    ReportTable,
    Rows,
    head_columns,
    list_arms,
    say_counts,
    say_interval,
    say_share,
    split_by_arm,
)
from hepatica.trials.report.tables_response import BEST, CONTROLLED, NOT_ASSESSED, RESPONSES, Assessor
from hepatica.trials.report.words import ReportWords

NONE_OF_IT: Final = "-"
LINES: Final = (
    ("Complete response", "CR", "iCR"),
    ("Partial response", "PR", "iPR"),
    ("Stable disease", "SD", "iSD"),
    ("Neither complete response nor progression", "NON-CR/NON-PD", "NON-iCR/NON-iUPD"),
    ("Progression (iRECIST: confirmed, iCPD)", "PD", "iCPD"),
    ("Progression never confirmed (iUPD)", "", "iUPD"),
    ("Not evaluable", "NE", "NE"),
)
"""Line, code of RECIST 1.1, code of iRECIST; empty where a criterion has no such code."""
IMMUNE_RESPONSES: Final = ("iCR", "iPR")
IMMUNE_CONTROLLED: Final = (*IMMUNE_RESPONSES, "iSD", "NON-iCR/NON-iUPD")
WHOLE: Final = ("", str(Group.ALL))
GROUP_WORDS: Final[Mapping[str, str]] = {
    Group.ALL: "All lesions",
    Group.NON_INJECTED: "Never injected so far",
    Group.INJECTED_A: "Injected, A: from baseline",
    Group.INJECTED_B: "Injected, B: from own first injection",
    Group.INJECTED_C: "Injected, C: from the visit before",
}
UNCHECKED: Final = (
    "itRECIST-based: this program's reading of the published outline (Goldmacher 2020, "
    "J Clin Oncol 38:2667); unverified until someone has compared it with the response tables of the paper."
)
AFTER: Final = (
    "Confirmed later (iCPD)",
    "Not confirmed: response or stable disease followed",
    "Assessed again, neither confirmed nor resolved",
    "No later assessment",
    "Not assessed by iRECIST",
)


def find_immune_assessor(responses: Rows, assessor: Assessor) -> Assessor | None:
    """Return whose iRECIST assessments stand beside those of an assessor; None where there are none.

    The same evaluator; another one only where iRECIST has a single one, so that two readers are never mixed.
    """
    return _find_beside(responses, assessor, code="IBOR", groups=WHOLE)


def find_injected_assessor(responses: Rows, assessor: Assessor, *, category: str) -> Assessor | None:
    """Return whose itRECIST-based assessments stand beside those of an assessor; None where there are none."""
    found = [row for row in responses if row["PARCAT1"] == category]
    return _find_beside(found, assessor, code="BOR", groups=tuple(str(group) for group in Group))


def _find_beside(
    responses: Rows, assessor: Assessor, *, code: str, groups: Collection[str]
) -> Assessor | None:
    known = {
        (row["PARCAT1"], row["AEVAL"], row["AEVALID"])
        for row in responses
        if row["PARAMCD"] == code and row["GRPID"] in groups
    }
    mine = sorted(key for key in known if key[1:] == (assessor.evaluator, assessor.evaluator_id))
    if not mine and len(known) == 1:
        mine = list(known)
    if not mine:
        return None
    category, evaluator, evaluator_id = mine[0]
    return Assessor(category=category, derived=category, evaluator=evaluator, evaluator_id=evaluator_id)


def select_group(responses: Rows, *, code: str, group: Collection[str], assessor: Assessor) -> dict[str, str]:
    """Return AVALC of each subject for one PARAMCD, groups of lesions and assessor."""
    key = (assessor.category, assessor.evaluator, assessor.evaluator_id)
    return {
        row["USUBJID"]: row["AVALC"]
        for row in responses
        if row["PARAMCD"] == code
        and row["GRPID"] in group
        and (row["PARCAT1"], row["AEVAL"], row["AEVALID"]) == key
    }


def tabulate_criteria(
    responses: Rows,
    subjects: Rows,
    *,
    assessors: Mapping[str, Assessor | None],
    words: ReportWords,
    derived: Collection[str] = (),
    absent: str = "",
) -> ReportTable:
    """Return best response of the same subjects by each criterion.

    Parameters
    ----------
    responses, subjects
        ADRS and ADSL.
    assessors
        By the name of the criterion; None where nobody was assessed by it. The first is RECIST 1.1 or mRECIST.
    words
        Level of the intervals.
    derived
        Names of the criteria that were derived here and not recorded.
    absent
        Why there is nothing to report.
    """
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    shared: dict[str, Any] = {
        "table_id": "criteria", "title": "Best response by criterion, all lesions",
        "population": "Treated: at least one dose",
        "denominator": "The full group, assessed or not, the same for every criterion.",
        "stub": "Best response (unconfirmed)",
    }  # fmt: skip
    given = {name: one for name, one in assessors.items() if one is not None}
    if absent or len(given) < 2:
        reason = absent or "not reported: no TU with TR, and no second criterion in RS"
        return ReportTable(absent=reason, **shared)
    best, immune = _find_best(responses, given)
    rows = []
    for label, plain, code in LINES:
        wanted = {name: code if name in immune else plain for name in given}
        cells = tuple(
            say_share(_count(best[name], treated, (wanted[name],)), len(treated))
            if wanted[name]
            else NONE_OF_IT
            for name in given
        )
        rows.append(ReportRow(label=label, cells=cells, level=1))
    known = {name: {line[2 if name in immune else 1] for line in LINES} - {""} for name in given}
    rows.append(
        ReportRow(
            label=NOT_ASSESSED,
            cells=tuple(
                say_share(len(treated) - _count(best[n], treated, tuple(known[n])), len(treated))
                for n in given
            ),
            level=1,
        )
    )
    rows += _rate_lines(best, immune, treated, words=words)
    notes = [
        f"{name}: {'derived here' if name in derived else 'as recorded'}, {one.name}."
        for name, one in given.items()
    ]
    notes.append(
        "Intervals are exact (Clopper-Pearson). iRECIST counts the best response before confirmed progression; "
        "a RECIST 1.1 progression that a later assessment did not confirm is not final there. "
        "Columns are the same patients: they must not be compared as groups."
    )
    notes += [UNCHECKED] if any(name.startswith("itRECIST") for name in given) else []
    columns = tuple(f"{name} (N = {len(treated)})" for name in given)
    return ReportTable(columns=columns, rows=tuple(rows), notes=tuple(notes), **shared)


def _find_best(
    responses: Rows, given: Mapping[str, Assessor]
) -> tuple[dict[str, dict[str, str]], frozenset[str]]:
    """Return the best response of each subject by criterion, and which criteria have the codes of iRECIST."""
    best, immune = {}, set()
    for name, assessor in given.items():
        best[name] = select_group(responses, code="BOR", group=WHOLE, assessor=assessor)
        found = select_group(responses, code="IBOR", group=WHOLE, assessor=assessor)
        if found:
            best[name] = found
            immune.add(name)
    return best, frozenset(immune)


def _count(best: Mapping[str, str], group: Collection[str], wanted: Sequence[str]) -> int:
    return sum(word in wanted and subject in group for subject, word in best.items())


def _rate_lines(
    best: Mapping[str, Mapping[str, str]],
    immune: Collection[str],
    treated: Collection[str],
    *,
    words: ReportWords,
) -> list[ReportRow]:
    conf, rows = words.confidence.number, []
    for label, plain, code in (
        ("Objective response (CR or PR; iCR or iPR)", RESPONSES, IMMUNE_RESPONSES),
        ("Disease control (and SD; and iSD)", CONTROLLED, IMMUNE_CONTROLLED),
    ):
        counts = [_count(found, treated, code if name in immune else plain) for name, found in best.items()]
        rows.append(ReportRow(label=label, cells=tuple(say_share(n, len(treated)) for n in counts)))
        cells = tuple(say_interval(n, len(treated), conf=conf) for n in counts)
        rows.append(ReportRow(label=f"{100 * conf:g} % interval, percent", cells=cells, level=1))
    return rows


def tabulate_beyond(
    responses: Rows,
    subjects: Rows,
    *,
    assessor: Assessor,
    immune: Assessor | None,
    absent: str = "",
) -> ReportTable:
    """Return what followed the first progression by RECIST 1.1, as iRECIST sees it.

    Parameters
    ----------
    responses, subjects
        ADRS and ADSL.
    assessor, immune
        RECIST 1.1 and iRECIST.
    absent
        Why there is nothing to report.
    """
    shared: dict[str, Any] = {
        "table_id": "beyond", "title": "After the first progression by RECIST 1.1",
        "population": "Treated subjects with PD by RECIST 1.1",
        "denominator": "Subjects with PD; the first line counts them out of all treated.",
        "stub": "By iRECIST",
    }  # fmt: skip
    if absent or immune is None:
        return ReportTable(absent=absent or "not reported: nobody was assessed by iRECIST", **shared)
    treated = [row for row in subjects if row["SAFFL"] == "Y"]
    arms = list_arms(treated)
    groups = split_by_arm(treated, arms)
    first = _list_progressions(responses, assessor)
    fates = _list_fates(responses, first, immune)
    progressed = [{subject for subject in group if subject in first} for group in groups]
    rows = [ReportRow(label="PD by RECIST 1.1", cells=say_counts(first, groups))]
    for fate in AFTER:
        having = {subject for subject, found in fates.items() if found == fate}
        rows.append(ReportRow(label=fate, cells=say_counts(having, progressed), level=1))
    return ReportTable(
        columns=head_columns(arms, groups),
        rows=tuple(rows),
        notes=(
            "Who is assessed again after progression is chosen (treated beyond it, well enough): these are "
            "no rates of pseudoprogression. A confirmation needs an assessment four weeks later or more.",
        ),
        **shared,
    )


def _list_progressions(responses: Rows, assessor: Assessor) -> dict[str, date]:
    first: dict[str, date] = {}
    for row in responses:
        counts = row["PARAMCD"] == "OVR" and row["AVALC"] == "PD" and row["ANL01FL"] == "Y"
        if counts and row["ADT"] and assessor.assessed(row, ""):
            first[row["USUBJID"]] = min(row["ADT"], first.get(row["USUBJID"], row["ADT"]))
    return first


def _list_fates(responses: Rows, first: Mapping[str, date], immune: Assessor) -> dict[str, str]:
    later: dict[str, list[str]] = {}
    assessed = set()
    key = (immune.category, immune.evaluator, immune.evaluator_id)
    for row in sorted(responses, key=lambda row: row["ADT"] or date.min):
        if row["PARAMCD"] != "OVR" or (row["PARCAT1"], row["AEVAL"], row["AEVALID"]) != key:
            continue
        if row["GRPID"] in WHOLE and row["USUBJID"] in first and row["ADT"]:
            assessed.add(row["USUBJID"])
            # A derived iRECIST may confirm on the day of a recorded PD, where the two did not agree before.
            if row["ADT"] > first[row["USUBJID"]] or row["AVALC"] == "iCPD":
                later.setdefault(row["USUBJID"], []).append(row["AVALC"])
    return {
        subject: _name_fate(later.get(subject, ())) if subject in assessed else AFTER[4] for subject in first
    }


def _name_fate(codes: Sequence[str]) -> str:
    """Return the line of one subject from the iRECIST codes after progression, in order of time."""
    for code in codes:
        if code == "iCPD":
            return AFTER[0]
        if code in IMMUNE_CONTROLLED:
            return AFTER[1]
    return AFTER[2] if any(code not in ("ND", "") for code in codes) else AFTER[3]


def tabulate_injected(
    responses: Rows,
    subjects: Rows,
    members: Mapping[str, Collection[str]],
    *,
    assessor: Assessor | None,
    words: ReportWords,
    absent: str = "",
) -> ReportTable:
    """Return best response by the groups of the itRECIST-based reading.

    Parameters
    ----------
    responses, subjects
        ADRS and ADSL.
    members
        Subjects who have such lesions, by group; see `list_injected_members`.
    assessor
        Whose assessments; None where there are none.
    words
        Level of the intervals.
    absent
        Why there is nothing to report.
    """
    conf = words.confidence.number
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    shared: dict[str, Any] = {
        "table_id": "itrecist", "title": "Best response by injected status, itRECIST-based (unverified)",
        "population": "Treated: at least one dose",
        "denominator": "All lesions: every treated subject. Groups: every treated subject with such a lesion "
        "at baseline, assessed or not.",
        "stub": "Best response (unconfirmed)",
    }  # fmt: skip
    if absent or assessor is None:
        return ReportTable(absent=absent or "not reported: no EX with EXLNKID", **shared)
    groups = {
        group: treated if group is Group.ALL else treated & set(members.get(group, ())) for group in Group
    }
    best = {
        group: select_group(responses, code="BOR", group=(str(group),), assessor=assessor) for group in Group
    }
    rows = [
        ReportRow(
            label=word,
            cells=tuple(say_share(_count(best[g], groups[g], (word,)), len(groups[g])) for g in Group),
            level=1,
        )
        for word in BEST
    ]
    silent = tuple(
        say_share(len(groups[g]) - _count(best[g], groups[g], BEST), len(groups[g])) for g in Group
    )
    rows.append(ReportRow(label=NOT_ASSESSED, cells=silent, level=1))
    for label, wanted in (("Objective response (CR or PR)", RESPONSES), ("Disease control", CONTROLLED)):
        counts = [_count(best[g], groups[g], wanted) for g in Group]
        cells = tuple(say_share(n, len(groups[g])) for g, n in zip(Group, counts))
        rows.append(ReportRow(label=label, cells=cells))
        limits = tuple(say_interval(n, len(groups[g]), conf=conf) for g, n in zip(Group, counts))
        rows.append(ReportRow(label=f"{100 * conf:g} % interval, percent", cells=limits, level=1))
    return ReportTable(
        columns=tuple(f"{GROUP_WORDS[g]} (N = {len(groups[g])})" for g in Group),
        rows=tuple(rows),
        notes=(
            f"{assessor.name.capitalize()}; derived here. {UNCHECKED}",
            "Status is that of each visit: a lesion injected before the visit is injected from then on, and "
            "leaves the sums of the others with all its earlier sizes. A, B and C differ in what an injected "
            "lesion is compared with: its baseline, its last size before its own first injection, the visit "
            "before (lesions injected since then).",
            "Which lesions were injected, and when, was chosen by the treating team: a difference between "
            "groups is no comparison of treatments.",
        ),
        **shared,
    )
