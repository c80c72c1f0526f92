"""Times to events: curves of all subjects and of each arm, their comparison, and the table of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hepatica.core.errors import NotConvergedError
from hepatica.trials.endpoints.comparison import compare_log_rank, fit_cox
from hepatica.trials.endpoints.survival import SurvivalCurve, estimate_survival
from hepatica.trials.report.tables import ReportRow, ReportTable, Rows, list_arms
from hepatica.trials.report.tables_response import Assessor
from hepatica.trials.report.words import ReportWords

TIMES: Final = (
    ("OS", "Overall survival"),
    ("PFS", "Progression-free survival"),
    ("IPFS", "Progression-free survival by iRECIST"),
    ("DOR", "Duration of response"),
    ("IDOR", "Duration of response by iRECIST"),
)
OF_RESPONDERS: Final = ("DOR", "IDOR")
"""Counted from the response, so that arms are not comparable: who is in them was decided after the start."""
LANDMARKS: Final = (6.0, 12.0, 18.0, 24.0)
"""Months, as outcomes are followed for two years."""
COMPARED_ARMS: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeCurve:
    """One Kaplan-Meier curve.

    Parameters
    ----------
    code, title
        PARAMCD and words.
    group
        Arm; empty for all.
    curve
        Times in months.
    """

    code: str
    title: str
    group: str
    curve: SurvivalCurve


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmComparison:
    """Two arms of one endpoint.

    Parameters
    ----------
    code
        PARAMCD.
    chi2, p
        Log-rank test, one degree of freedom.
    arm, reference
        The hazard ratio is that of the first over the second.
    ratio, lower, upper
        Of a Cox model (Efron); None where it has no maximum.
    """

    code: str
    chi2: float
    p: float
    arm: str
    reference: str
    ratio: float | None = None
    lower: float | None = None
    upper: float | None = None

    @property
    def words(self) -> str:
        """Words for people.

        Examples
        --------
        >>> ArmComparison(code="OS", chi2=4.0, p=0.0457, arm="B", reference="A").words
        'log-rank p = 0.046; hazard ratio not estimable'
        """
        said = "p < 0.001" if self.p < 0.001 else f"p = {self.p:.3f}"
        if self.ratio is None or self.lower is None or self.upper is None:
            return f"log-rank {said}; hazard ratio not estimable"
        limits = f"{self.lower:.2f} to {self.upper:.2f}"
        return f"log-rank {said}; hazard ratio {self.ratio:.2f} ({limits}), {self.arm} over {self.reference}"


def derive_curves_of_times(
    times: Rows, subjects: Rows, *, assessors: Mapping[str, Assessor], words: ReportWords
) -> tuple[TimeCurve, ...]:
    """Return the curves of all treated subjects, each followed by those of the arms where there are several.

    Parameters
    ----------
    times, subjects
        ADTTE and ADSL.
    assessors
        Whose assessments count, by PARAMCD; an endpoint without an assessor is left out. Survival needs none.
    words
        Level of the intervals.
    """
    conf = words.confidence.number
    curves = []
    for code, title in TIMES:
        found = select_times(times, subjects, code=code, assessor=assessors.get(code))
        arms = list_arms([row for row in subjects if row["SAFFL"] == "Y"])
        groups = (("", found), *((arm, [one for one in found if one[0] == arm]) for arm in arms))
        for arm, rows in groups if len(arms) > 1 else groups[:1]:
            if rows:
                curve = estimate_survival([r[1] for r in rows], [r[2] for r in rows], conf=conf)
                curves.append(TimeCurve(code=code, title=title, group=arm, curve=curve))
    return tuple(curves)


def select_times(
    times: Rows, subjects: Rows, *, code: str, assessor: Assessor | None
) -> list[tuple[str, float, int]]:
    """Return arm, months and event of each treated subject that has one endpoint."""
    arms = {row["USUBJID"]: row["TRT01A"] or row["TRT01P"] for row in subjects if row["SAFFL"] == "Y"}
    return [
        (arms[row["USUBJID"]], float(row["AVALM"]), int(row["CNSR"] == 0))
        for row in times
        if row["PARAMCD"] == code
        and row["USUBJID"] in arms
        and (code == "OS" or (assessor is not None and assessor.assessed(row, "")))
    ]


def compare_arms(
    times: Rows, subjects: Rows, *, assessors: Mapping[str, Assessor], words: ReportWords
) -> tuple[ArmComparison, ...]:
    """Return the comparison of the two arms of a trial that has two; nothing otherwise.

    More arms than two are levels of an escalation: patients were not assigned to them by chance and not at
    the same time, and no test is made. Duration of response is never tested: see `OF_RESPONDERS`.
    """
    found = []
    for code, _ in TIMES:
        rows = select_times(times, subjects, code=code, assessor=assessors.get(code))
        arms = sorted({arm for arm, _, _ in rows})
        if code in OF_RESPONDERS or len(arms) != COMPARED_ARMS or not any(event for _, _, event in rows):
            continue
        months, events = [row[1] for row in rows], [row[2] for row in rows]
        test = compare_log_rank(months, events, [row[0] for row in rows])
        ratio = lower = upper = None
        try:
            fit = fit_cox(
                months, events, [float(row[0] == arms[1]) for row in rows], conf=words.confidence.number
            )
            ratio, lower, upper = fit.hazard_ratios[0], fit.lower[0], fit.upper[0]
        except NotConvergedError:
            # One arm without an event, or none after the other's: the ratio is 0 or infinite.
            pass
        found.append(
            ArmComparison(
                code=code, chi2=test.chi2, p=test.p, arm=arms[1], reference=arms[0], ratio=ratio,
                lower=lower, upper=upper,
            )
        )  # fmt: skip
    return tuple(found)


def tabulate_times(
    curves: Sequence[TimeCurve], *, rules: str, comparisons: Collection[ArmComparison] = (), absent: str = ""
) -> ReportTable:
    """Return events, medians and rates at 6, 12, 18 and 24 months, of all and of each arm."""
    shared: dict[str, Any] = {
        "table_id": "times", "title": "Times to events", "population": "Treated: at least one dose; "
        "duration of response: responders only",
        "denominator": "Every subject of the line is in the curve, censored where the rules say so.",
        "stub": "Months",
    }  # fmt: skip
    if absent or not curves:
        return ReportTable(absent=absent or "not reported: no subject has a time", **shared)
    conf = f"{100 * curves[0].curve.conf:g} %"
    notes = [
        f"Kaplan-Meier, {curves[0].curve.conf_type} limits (Greenwood). Censoring rules: {rules}. "
        "n.r.: not reached.",
        "A rate after the last follow-up is not given; neither is an interval of a rate of 0 or 100 %, for which "
        "the method has none.",
    ]
    titles = dict(TIMES)
    notes += [f"{titles[found.code]}: {found.words}." for found in comparisons]
    if comparisons:
        notes.append("Two-sided, not adjusted for the number of tests or for how patients came to their arm.")
    elif any(item.group for item in curves):
        notes.append(
            "Arms are described, not tested: a test is made only between two arms, and none of duration "
            "of response."
        )
    return ReportTable(
        columns=(
            "N", "Events", "Median", f"{conf} interval",
            *(f"At {month:g}, % ({conf} interval)" for month in LANDMARKS),
        ),
        rows=tuple(_line(item) for item in curves),
        notes=tuple(notes),
        **shared,
    )  # fmt: skip


def _line(item: TimeCurve) -> ReportRow:
    middle, low, high = item.curve.quantile()
    events = int(item.curve.n_event.sum())
    cells = [str(int(item.curve.n_risk[0])), str(events), _say(middle), f"{_say(low)} to {_say(high)}"]
    cells += [_say_rate(item.curve, month) for month in LANDMARKS]
    return ReportRow(label=item.group or item.title, cells=tuple(cells), level=1 if item.group else 0)


def _say(value: float | None) -> str:
    return "n.r." if value is None else f"{value:.1f}"


def _say_rate(curve: SurvivalCurve, month: float) -> str:
    if month > curve.time[-1] and curve.survival[-1] > 0:
        return "-"
    rate, low, high = curve.at(month)
    if low is None or high is None or rate in (0.0, 1.0):
        # Greenwood's variance is 0 before the first event: an interval of no width would claim certainty.
        return f"{100 * rate:.0f}"
    return f"{100 * rate:.0f} ({100 * low:.0f} to {100 * high:.0f})"
