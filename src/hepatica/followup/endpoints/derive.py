"""Endpoints of one subject: BOR, CBOR, RSP, CRSP, IBOR and the times PFS, OS, DOR, TTR, IPFS, IDOR.

A progression that was only suspected and later confirmed is dated back here and nowhere else: the codes of
the visits stay as they were recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from hepatica.followup.best.endpoints import derive_best
from hepatica.followup.best.immune import PROGRESSING
from hepatica.followup.best.timeline import Endpoint, Timeline
from hepatica.followup.dates import derive_study_day
from hepatica.followup.endpoints.decide import Facts, decide
from hepatica.followup.endpoints.history import Assessment, Dated, Stream, SubjectHistory
from hepatica.followup.endpoints.rules import CENSOR, DATES, CensoringRule, EndpointRules

NAMES: Final = {
    "OVR": "Overall Response by Visit",
    "BOR": "Best Overall Response",
    "CBOR": "Confirmed Best Overall Response",
    "RSP": "Response",
    "CRSP": "Confirmed Response",
    "IBOR": "Immune Best Overall Response",
    "PFS": "Progression-Free Survival",
    "OS": "Overall Survival",
    "DOR": "Duration of Response",
    "TTR": "Time to Response",
    "IPFS": "Immune Progression-Free Survival",
    "IDOR": "Duration of Immune Response",
}
RANKS: Final = {
    code: rank
    for codes in (
        ("CR", "PR", "SD", "NON-CR/NON-PD", "PD", "NE", "ND", "MISSING"),
        ("iCR", "iPR", "iSD", "NON-iCR/NON-iUPD", "iUPD", "iCPD"),
    )
    for rank, code in enumerate(codes, start=1)
}
YES_NO: Final = {"Y": 1, "N": 0}
RESPONSES: Final = ("CR", "PR")
IMMUNE_RESPONSES: Final = ("iCR", "iPR")
BACK_DATED: Final = ", dated back to the first equivocal sighting"
RESPONDED: Final = CensoringRule(
    rule_id="response", when="", outcome="event", date="", code=0, description="Response"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseValue:
    """One row of ADRS.

    Parameters
    ----------
    code
        PARAMCD.
    stream
        Criterion, group, evaluator.
    value
        AVALC.
    when
        ADT with its source; None where the value rests on no day.
    day
        ADY.
    assessment
        The assessment of an ``OVR`` row.
    counts
        Whether it enters best response and progression.
    """

    code: str
    stream: Stream
    value: str
    when: Dated | None = None
    day: int | None = None
    assessment: Assessment | None = None
    counts: bool = True

    @property
    def rank(self) -> int | None:
        """AVAL."""
        return YES_NO[self.value] if self.value in YES_NO else RANKS.get(self.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointTime:
    """One row of ADTTE.

    Parameters
    ----------
    code
        PARAMCD.
    stream
        Criterion, group, evaluator; empty for overall survival.
    start, end
        First and last day; both count.
    rule
        The row of the rules that decided.
    description
        EVNTDESC.
    """

    code: str
    stream: Stream
    start: Dated
    end: Dated
    rule: CensoringRule
    description: str

    @property
    def days(self) -> int:
        """AVAL: days from the first to the last, both counted."""
        return (self.end.day - self.start.day).days + 1

    @property
    def censor_date(self) -> str:
        """CNSDTDSC; empty for an event."""
        return DATES[self.rule.date] if self.rule.outcome == CENSOR else ""


def derive_endpoints(
    history: SubjectHistory, *, rules: EndpointRules
) -> tuple[tuple[ResponseValue, ...], tuple[EndpointTime, ...]]:
    """Return the responses and the times of one subject, each criterion, group and evaluator apart.

    Parameters
    ----------
    history
        What is known of the subject. A stream without assessments makes no response, but times.
    rules
        Censoring rules.
    """
    values: list[ResponseValue] = []
    times = [_derive_survival(history, rules)]
    for stream in history.streams:
        counted, back_dated = select_counted(stream, history, rules=rules)
        values += _list_values(stream, counted, history, rules=rules)
        times += _derive_times(stream, counted, history, rules=rules, back_dated=back_dated)
    return tuple(values), tuple(times)


def select_counted(
    stream: Stream, history: SubjectHistory, *, rules: EndpointRules
) -> tuple[tuple[Assessment, ...], bool]:
    """Return the assessments that count, with suspected progression dated back, and whether one was.

    Assessments after a new anticancer therapy are left out where the rules say so. Where a new lesion was
    equivocal at some visits without a break up to the one that gave PD with a sure new lesion, PD is moved
    to the first of them.
    """
    kept = list(stream.assessments)
    if history.therapy is not None and rules.choice("assessments_after_new_therapy") == "ignore":
        kept = [a for a in kept if a.when.day <= history.therapy.day]
    if stream.immune or rules.choice("back_date_equivocal") != "yes":
        return tuple(kept), False
    first = next((i for i, a in enumerate(kept) if a.code == "PD"), None)
    if first is None or kept[first].new != "Y":
        return tuple(kept), False
    start = first
    while start > 0 and kept[start - 1].new == "EQUIVOCAL":
        start -= 1
    for index in range(start, first):
        kept[index] = replace(kept[index], code="PD")
    return tuple(kept), start < first


def _to_timeline(assessments: Sequence[Assessment], history: SubjectHistory) -> Timeline:
    return Timeline.of(((a.when.day, a.code) for a in assessments), reference=history.start.day)


def _list_values(
    stream: Stream, counted: Sequence[Assessment], history: SubjectHistory, *, rules: EndpointRules
) -> Iterator[ResponseValue]:
    if not stream.assessments:
        return
    days = {a.when.day for a in counted}
    for assessment in stream.assessments:
        yield ResponseValue(
            code="OVR",
            stream=stream,
            value=assessment.code or "ND",
            when=assessment.when,
            day=derive_study_day(assessment.when.day, reference=history.start.day),
            assessment=assessment,
            counts=assessment.adequate and assessment.when.day in days,
        )
    wanted = (Endpoint.IBOR,) if stream.immune else (Endpoint.BOR, Endpoint.CBOR, Endpoint.RSP, Endpoint.CRSP)
    timeline = _to_timeline(counted, history)
    sources = {a.when.day: a.when for a in counted}
    for endpoint in wanted:
        best = derive_best(timeline, endpoint=endpoint, settings=rules.best)
        when = None if best.day is None else sources[best.day]
        day = None if when is None else derive_study_day(when.day, reference=history.start.day)
        yield ResponseValue(code=str(endpoint), stream=stream, value=best.value, when=when, day=day)


def _derive_survival(history: SubjectHistory, rules: EndpointRules) -> EndpointTime:
    row, end = decide(Facts(history=history, rules=rules), rules.survival)
    return EndpointTime(
        code="OS", stream=Stream(), start=history.start, end=end, rule=row, description=row.description
    )


def _find_progression(
    stream: Stream, counted: Sequence[Assessment], history: SubjectHistory, *, rules: EndpointRules
) -> Dated | None:
    if not stream.immune:
        return next((a.when for a in counted if a.code == "PD"), None)
    best = derive_best(_to_timeline(counted, history), endpoint=Endpoint.IPFS, settings=rules.best)
    return next((a.when for a in counted if best.day == a.when.day and a.code in PROGRESSING), None)


def _find_response(
    stream: Stream, counted: Sequence[Assessment], history: SubjectHistory, *, rules: EndpointRules
) -> Dated | None:
    sources = {a.when.day: a.when for a in counted}
    if stream.immune:
        return next((a.when for a in counted if a.code in IMMUNE_RESPONSES), None)
    wanted = Endpoint.CRSP if rules.choice("response") == "confirmed" else Endpoint.RSP
    best = derive_best(_to_timeline(counted, history), endpoint=wanted, settings=rules.best)
    return None if best.day is None else sources[best.day]


def _derive_times(
    stream: Stream,
    counted: tuple[Assessment, ...],
    history: SubjectHistory,
    *,
    rules: EndpointRules,
    back_dated: bool,
) -> Iterator[EndpointTime]:
    progression = _find_progression(stream, counted, history, rules=rules)
    facts = Facts(history=history, rules=rules, assessments=counted, progression=progression)
    row, end = decide(facts, rules.progression)
    words = row.description + (BACK_DATED if back_dated and end is progression else "")
    shared = {"stream": stream, "rule": row, "end": end, "description": words}
    prefix = "I" if stream.immune else ""
    yield EndpointTime(code=f"{prefix}PFS", start=history.start, **shared)  # type: ignore[arg-type]
    response = _find_response(stream, counted, history, rules=rules)
    if response is not None and history.start.day <= response.day <= end.day:
        yield EndpointTime(code=f"{prefix}DOR", start=response, **shared)  # type: ignore[arg-type]
        if not prefix:
            yield EndpointTime(
                code="TTR", stream=stream, start=history.start, end=response, rule=RESPONDED,
                description=RESPONDED.description,
            )  # fmt: skip
    elif not prefix and rules.choice("time_to_response") == "all":
        row = row if row.outcome == CENSOR else _to_censoring(row)
        yield EndpointTime(
            code="TTR", stream=stream, start=history.start, end=end, rule=row,
            description=f"No response: {words}",
        )  # fmt: skip


def _to_censoring(row: CensoringRule) -> CensoringRule:
    return replace(row, outcome=CENSOR, code=1)
