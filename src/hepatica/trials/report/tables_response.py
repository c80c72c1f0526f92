"""Response by group of lesions and by basket."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.trials.phase2.intervals import derive_interval
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import ReportRow, ReportTable, Rows, say_interval, say_share
from hepatica.trials.report.words import ReportWords

BEST: Final = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")
RESPONSES: Final = ("CR", "PR")
CONTROLLED: Final = ("CR", "PR", "SD", "NON-CR/NON-PD")
NOT_ASSESSED: Final = "Not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class BasketRate:
    """Response of one basket.

    Parameters
    ----------
    name
        Tumour type.
    responders, subjects
        Of the full group.
    lower, upper
        Exact limits, fractions.
    """

    name: str
    responders: int
    subjects: int
    lower: float
    upper: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessor:
    """Whose assessments the tables show, by which criterion.

    Parameters
    ----------
    category
        PARCAT1 of all lesions together: as recorded.
    derived
        PARCAT1 of the groups, which are always derived here.
    evaluator, evaluator_id
        AEVAL and AEVALID.
    """

    category: str
    derived: str
    evaluator: str = ""
    evaluator_id: str = ""

    def assessed(self, row: Mapping[str, Any], group: str) -> bool:
        """Whether a row of ADRS or ADTTE is about a group, as this assessor saw it."""
        category = self.derived if group else self.category
        key = (row["GRPID"], row["PARCAT1"], row["AEVAL"], row["AEVALID"])
        return key == (group, category, self.evaluator, self.evaluator_id)

    @property
    def name(self) -> str:
        """Words for people."""
        who = " ".join(word for word in (self.evaluator, self.evaluator_id) if word).lower()
        return "assessed by " + (who or "an evaluator who is not named")


def select_best(responses: Rows, *, code: str, group: str, assessor: Assessor) -> dict[str, str]:
    """Return the best response of each subject in one group as one evaluator saw it."""
    return {
        row["USUBJID"]: row["AVALC"]
        for row in responses
        if row["PARAMCD"] == code and assessor.assessed(row, group)
    }


def tabulate_response(
    responses: Rows,
    subjects: Rows,
    members: Mapping[ResponseGroup, Collection[str]],
    *,
    assessor: Assessor,
    words: ReportWords,
    absent: str = "",
) -> ReportTable:
    """Return best response by group of lesions; the denominator is the whole group, evaluable or not.

    Parameters
    ----------
    responses
        ADRS.
    subjects
        ADSL.
    members
        Subjects with at least one lesion of each group at baseline.
    assessor
        Whose assessment, by which criterion.
    words
        Level of the intervals.
    absent
        Why there is nothing to report.
    """
    conf = words.confidence.number
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    shared: dict[str, Any] = {
        "table_id": "response", "title": "Best response by group of lesions", "population": "Treated: at "
        "least one dose",
        "denominator": "The full group: every treated subject for all lesions; every treated subject with "
        "such a lesion at "
        "baseline for the groups, whether assessed or not.",
        "stub": "Best response (unconfirmed)",
    }  # fmt: skip
    if absent:
        return ReportTable(absent=absent, **shared)
    groups = {
        group: treated if group is ResponseGroup.ALL else treated & set(members.get(group, ()))
        for group in ResponseGroup
    }
    best = {
        group: select_best(responses, code="BOR", group=str(group), assessor=assessor)
        for group in ResponseGroup
    }
    confirmed = {
        group: select_best(responses, code="CBOR", group=str(group), assessor=assessor)
        for group in ResponseGroup
    }
    rows = [
        _line(word, [_having(best[g], groups[g], (word,)) for g in ResponseGroup], groups) for word in BEST
    ]
    missing = [groups[g] - {s for s, word in best[g].items() if word in BEST} for g in ResponseGroup]
    rows.append(_line(NOT_ASSESSED, missing, groups))
    for label, source, wanted in (
        ("Objective response (CR or PR)", best, RESPONSES),
        ("Confirmed objective response", confirmed, RESPONSES),
        ("Disease control (CR, PR, SD)", best, CONTROLLED),
    ):
        found = [_having(source[g], groups[g], wanted) for g in ResponseGroup]
        rows.append(_line(label, found, groups, level=0))
        cells = tuple(
            say_interval(len(one), len(groups[g]), conf=conf) for g, one in zip(ResponseGroup, found)
        )
        rows.append(ReportRow(label=f"{100 * conf:g} % interval, percent", cells=cells, level=1))
    return ReportTable(
        columns=tuple(f"{group.words} (N = {len(groups[group])})" for group in ResponseGroup),
        rows=tuple(rows),
        notes=(
            f"{assessor.derived}; {assessor.name}. Intervals are exact (Clopper-Pearson).",
            "Injected: injected at least once. Groups are judged on their own lesions; a new lesion "
            "counts where it appeared, in "
            "or outside the liver, whether or not it was injected later.",
            "Which lesions were injected was chosen by the treating team: a difference between groups is "
            "no comparison of treatments.",
        ),
        **shared,
    )  # fmt: skip


def _having(best: Mapping[str, str], group: Collection[str], wanted: Sequence[str]) -> set[str]:
    return {subject for subject, word in best.items() if word in wanted and subject in group}


def _line(
    label: str,
    found: Sequence[Collection[str]],
    groups: Mapping[ResponseGroup, Collection[str]],
    *,
    level: int = 1,
) -> ReportRow:
    cells = tuple(say_share(len(one), len(groups[group])) for one, group in zip(found, ResponseGroup))
    return ReportRow(label=label, cells=cells, level=level)


def derive_baskets(
    responses: Rows, subjects: Rows, *, assessor: Assessor, words: ReportWords
) -> tuple[BasketRate, ...]:
    """Return objective response by tumour type, the largest first, and of all subjects last."""
    best = select_best(responses, code="BOR", group="", assessor=assessor)
    baskets: dict[str, set[str]] = {}
    for row in subjects:
        if row["SAFFL"] == "Y":
            baskets.setdefault(row["TUMTYPE"] or "Tumour type not given", set()).add(row["USUBJID"])
    every = {subject for group in baskets.values() for subject in group}
    ordered = sorted(baskets, key=lambda name: (-len(baskets[name]), name))
    rates = []
    for name, group in (*((name, baskets[name]) for name in ordered), ("All", every)):
        if group:
            count = len(_having(best, group, RESPONSES))
            found = derive_interval(count, len(group), conf=words.confidence.number)
            rates.append(
                BasketRate(
                    name=name, responders=count, subjects=len(group), lower=found.lower, upper=found.upper
                )
            )
    return tuple(rates)
