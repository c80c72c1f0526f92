"""Responses by iRECIST and the itRECIST-based reading, beside those by the criterion of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from hepatica.followup.criteria.itrecist import Group, find_injected
from hepatica.followup.records import Course
from hepatica.followup.verdict import Criterion, ResponseSettings, Verdict, derive_verdicts
from hepatica.trials.report.source import SourceTables
from hepatica.workflows.derive_response import EvaluatedCourse

BESIDE: Final = (Criterion.IRECIST, Criterion.ITRECIST)
"""Criteria derived where the trial did not record them."""
MORE_THAN_RECIST: Final = (Criterion.RECIST,)
"""Only RECIST 1.1 has these two on its own sizes; mRECIST measures the viable part."""


def derive_beside(
    courses: Sequence[EvaluatedCourse], tables: SourceTables, *, settings: ResponseSettings, linked: bool
) -> Iterator[tuple[EvaluatedCourse, list[Verdict], ResponseSettings]]:
    """Yield the verdicts of each subject by each further criterion that the trial did not record itself.

    Parameters
    ----------
    courses
        Subjects as their evaluators saw them.
    tables
        The trial, for what was recorded.
    settings
        Those of the report; nothing is yielded for sizes of another kind than RECIST's.
    linked
        Whether injections are linked to lesions; without, injected status is not known.
    """
    if settings.criterion not in MORE_THAN_RECIST:
        return
    for criterion in BESIDE:
        if criterion is Criterion.ITRECIST and not linked:
            continue
        chosen = ResponseSettings(criterion=criterion, continuing_pr=settings.continuing_pr)
        recorded = find_recorded(tables, criterion)
        for item in courses:
            if item.course is not None and (item.evaluator, item.evaluator_id) not in recorded:
                verdicts = list(derive_verdicts(item.course, settings=chosen))
                yield item, verdicts, chosen


def find_recorded(tables: SourceTables, criterion: Criterion) -> set[tuple[str, str]]:
    """Return evaluators whose overall responses by a criterion stand in RS."""
    return {
        (row.get("RSEVAL", ""), row.get("RSEVALID", ""))
        for row in tables.rows("RS")
        if row.get("RSTESTCD") == "OVRLRESP"
        and row.get("RSCAT", "").upper() == criterion.category.upper()
        and (criterion is not Criterion.ITRECIST or row.get("RSGRPID", ""))
    }


def list_injected_members(course: Course) -> Iterator[Group]:
    """Yield the groups of the itRECIST-based reading in which a subject has lesions at baseline.

    Injected: a baseline lesion was injected at any time. Never injected so far: one was not yet injected at
    the first visit after baseline; without such a visit, one was never injected.
    """
    known = [lesion for lesion in course.lesions if not lesion.role.is_new]
    if any(lesion.injections for lesion in known):
        yield from (Group.INJECTED_A, Group.INJECTED_B, Group.INJECTED_C)
    if course.follow_ups:
        injected = find_injected(known, course.follow_ups[0])
        left = any(lesion.lesion_id not in injected for lesion in known)
    else:
        left = any(not lesion.injections for lesion in known)
    if left:
        yield Group.NON_INJECTED


def count_members(courses: Sequence[EvaluatedCourse]) -> Mapping[str, set[str]]:
    """Return the subjects of each group, by any evaluator."""
    found: dict[str, set[str]] = {}
    for item in courses:
        if item.course is not None:
            for group in list_injected_members(item.course):
                found.setdefault(str(group), set()).add(item.subject)
    return found


def name_absent(tables: SourceTables, criterion: Criterion, settings: ResponseSettings) -> str:
    """Return why a further criterion is not reported; empty where it is."""
    if settings.criterion not in MORE_THAN_RECIST:
        return f"not reported: the report is by {settings.criterion.category}"
    missing = [name for name in ("TU", "TR") if name not in tables]
    if missing and not find_recorded(tables, criterion):
        return f"not reported: no {' and no '.join(missing)}"
    if criterion is Criterion.ITRECIST and not tables.has("EX", "EXLNKID"):
        return "not reported: no EX with EXLNKID, which says which lesion was injected"
    return ""
