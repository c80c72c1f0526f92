"""Tables and figures of a trial report that take more than one dataset: other criteria, and the pictures."""

from __future__ import annotations

from hepatica.followup.verdict import Criterion, ResponseSettings
from hepatica.trials.report.figures import ReportFigures, derive_change_line, derive_lanes
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import ReportTable, say_absent
from hepatica.trials.report.tables_criteria import (
    find_immune_assessor,
    find_injected_assessor,
    tabulate_beyond,
    tabulate_criteria,
    tabulate_injected,
)
from hepatica.trials.report.tables_response import Assessor, derive_baskets, select_best
from hepatica.trials.report.tables_times import ArmComparison, TimeCurve
from hepatica.trials.report.words import ReportWords
from hepatica.workflows.trial_report_criteria import BESIDE, find_recorded, name_absent
from hepatica.workflows.trial_report_data import TrialData, find_therapies


def tabulate_beside(
    data: TrialData, *, settings: ResponseSettings, assessor: Assessor, words: ReportWords, absent: str
) -> tuple[ReportTable, ...]:
    """Return the tables by iRECIST and by the itRECIST-based reading."""
    subjects, responses = data.datasets["ADSL"], data.datasets["ADRS"]
    immune = find_immune_assessor(responses, assessor)
    injected = find_injected_assessor(responses, assessor, category=Criterion.ITRECIST.category)
    reasons = {one: absent or name_absent(data.tables, one, settings) for one in BESIDE}
    recorded = {one.category for one in (settings.criterion, *BESIDE) if find_recorded(data.tables, one)}
    named = {
        settings.criterion.category: assessor,
        Criterion.IRECIST.category: immune,
        Criterion.ITRECIST.category: injected,
    }
    return (
        tabulate_criteria(
            responses, subjects, assessors=named, words=words, derived=set(named) - recorded,
            absent="" if immune or injected else reasons[Criterion.IRECIST],
        ),
        tabulate_beyond(
            responses, subjects, assessor=assessor, immune=immune, absent=reasons[Criterion.IRECIST]
        ),
        tabulate_injected(
            responses, subjects, data.injected_members, assessor=injected, words=words,
            absent=reasons[Criterion.ITRECIST],
        ),
    )  # fmt: skip


def compose_figures(
    data: TrialData,
    *,
    assessor: Assessor,
    words: ReportWords,
    curves: tuple[TimeCurve, ...],
    comparisons: tuple[ArmComparison, ...],
    absent: str,
) -> ReportFigures:
    """Return what the pictures show, each with its reason where it shows nothing."""
    subjects, responses = data.datasets["ADSL"], data.datasets["ADRS"]
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    changes = {}
    for group in ResponseGroup:
        found = data.lines.get((group, assessor.evaluator, assessor.evaluator_id), {})
        best = select_best(responses, code="BOR", group=str(group), assessor=assessor)
        whole = treated if group is ResponseGroup.ALL else treated & data.members.get(group, set())
        changes[group] = tuple(
            derive_change_line(subject, found.get(subject, ()), best=best.get(subject, ""))
            for subject in sorted(whole)
        )
    lanes = derive_lanes(
        subjects, data.datasets["ADEX"], responses, data.datasets["ADTTE"],
        assessor=assessor, therapies=find_therapies(data.tables, words=words),
    )  # fmt: skip
    no_sums = "" if data.lines else say_absent("TU with TR")
    reasons = {
        "waterfall": no_sums,
        "spider": no_sums,
        "forest": absent,
        "survival": "" if curves else "not reported: no subject has a time",
        "swimmer": "" if lanes else "not reported: no subject has a first dose and a time",
    }
    baskets = () if absent else derive_baskets(responses, subjects, assessor=assessor, words=words)
    return ReportFigures(
        changes=changes, lanes=lanes, baskets=baskets, curves=curves, comparisons=comparisons,
        absent={name: reason for name, reason in reasons.items() if reason},
    )  # fmt: skip
