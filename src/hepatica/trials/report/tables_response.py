"""Response by group of lesions and by basket, and times to events."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.trials.endpoints.survival import SurvivalCurve, estimate_survival
from hepatica.trials.phase2.intervals import derive_interval
from hepatica.trials.report.lesion_groups import ResponseGroup
from hepatica.trials.report.tables import ReportRow, ReportTable, Rows, say_interval, say_share
from hepatica.trials.report.words import ReportWords

BEST: Final = ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE")
RESPONSES: Final = ("CR", "PR")
CONTROLLED: Final = ("CR", "PR", "SD", "NON-CR/NON-PD")
TIMES: Final = (
    ("OS", "Overall survival"),
    ("PFS", "Progression-free survival"),
    ("DOR", "Duration of response"),
)
LANDMARKS: Final = (6.0, 12.0, 18.0, 24.0)
"""Months, as outcomes are followed for two years."""
NOT_ASSESSED: Final = "Not assessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCurve:
    """One Kaplan-Meier curve.

    Parameters
    ----------
    code, title
        PARAMCD and words.
    group
        Arm or tumour type; empty for all.
    curve
        Times in months.
    """

    code: str
    title: str
    group: str
    curve: SurvivalCurve


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


def derive_curves_of_times(
    times: Rows, subjects: Rows, *, assessor: Assessor, words: ReportWords
) -> tuple[TimeCurve, ...]:
    """Return the curves of OS, PFS and DOR over all treated subjects."""
    treated = {row["USUBJID"] for row in subjects if row["SAFFL"] == "Y"}
    curves = []
    for code, title in TIMES:
        found = [
            row
            for row in times
            if row["PARAMCD"] == code
            and row["USUBJID"] in treated
            and (code == "OS" or assessor.assessed(row, ""))
        ]
        if found:
            curve = estimate_survival(
                [row["AVALM"] for row in found], [int(row["CNSR"] == 0) for row in found],
                conf=words.confidence.number,
            )  # fmt: skip
            curves.append(TimeCurve(code=code, title=title, group="", curve=curve))
    return tuple(curves)


def tabulate_times(curves: Sequence[TimeCurve], *, rules: str, absent: str = "") -> ReportTable:
    """Return events, medians and rates at 6, 12, 18 and 24 months."""
    shared: dict[str, Any] = {
        "table_id": "times", "title": "Times to events", "population": "Treated: at least one dose; "
        "duration of response: "
        "responders only", "denominator": "Every subject of the line is in the curve, censored where the rules say so.",
        "stub": "Months",
    }  # fmt: skip
    if absent or not curves:
        return ReportTable(absent=absent or "not reported: no subject has a time", **shared)
    rows = []
    for item in curves:
        middle, low, high = item.curve.quantile()
        events = int(item.curve.n_event.sum())
        limits = f"{_say(low)} to {_say(high)}"
        cells = [str(int(item.curve.n_risk[0])), str(events), _say(middle), limits]
        cells += [_say_rate(item.curve, month) for month in LANDMARKS]
        rows.append(ReportRow(label=item.title, cells=tuple(cells)))
    conf = f"{100 * curves[0].curve.conf:g} %"
    return ReportTable(
        columns=("N", "Events", "Median", f"{conf} interval",
                 *(f"At {month:g}, % ({conf} interval)" for month in LANDMARKS)),
        rows=tuple(rows),
        notes=(
            f"Kaplan-Meier, {curves[0].curve.conf_type} limits (Greenwood). Censoring rules: {rules}. "
            f"n.r.: not reached.",
            "A rate after the last follow-up is not given.",
        ),
        **shared,
    )  # fmt: skip


def _say(value: float | None) -> str:
    return "n.r." if value is None else f"{value:.1f}"


def _say_rate(curve: SurvivalCurve, month: float) -> str:
    if month > curve.time[-1] and curve.survival[-1] > 0:
        return "-"
    rate, low, high = curve.at(month)
    if low is None or high is None:
        return f"{100 * rate:.0f}"
    return f"{100 * rate:.0f} ({100 * low:.0f} to {100 * high:.0f})"
