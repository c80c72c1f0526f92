"""Dose-limiting toxicity: what each event is, how each patient stands, and until when nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from hepatica.core.errors import InputError, NotSetError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, Severity
from hepatica.followup.safety.attribution import counts
from hepatica.followup.safety.toxicity import (
    ToxicEvent,
    ToxicityCriterion,
    ToxicityDefinition,
    ToxicityState,
    TreatedPatient,
    Verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventVerdict:
    """What one event is.

    Parameters
    ----------
    event
        The event.
    verdict, reason
        Dose-limiting, undecided or not, and why, in words.
    criterion
        Name of the criterion that decided; empty where none speaks of it.
    cause
        ``agent``, ``procedure``, ``both``, ``neither`` or ``unknown``.
    decides_on
        Day on which an undecided event decides itself by lasting; None where a person has to.
    """

    event: ToxicEvent
    verdict: Verdict
    reason: str
    criterion: str = ""
    cause: str = ""
    decides_on: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientVerdict:
    """How one patient stands, in the words of the designs.

    Parameters
    ----------
    patient, state, reason
        Who, how, and why.
    dlt
        Whether a toxicity counts.
    follow_up_days, window_days
        Days surely free of toxicity or to it, and days of the window; less than the window is pending.
    evaluable
        Whether the patient counts at all.
    closes_on
        Last day of the window.
    events
        Verdict of each event, dose-limiting ones first, then by day.
    """

    patient: TreatedPatient
    state: ToxicityState
    reason: str
    dlt: bool
    follow_up_days: int
    window_days: int
    evaluable: bool
    closes_on: date
    events: tuple[EventVerdict, ...]

    @property
    def first(self) -> EventVerdict | None:
        """The event that decided, or that has to be decided first."""
        wanted = {ToxicityState.DLT: Verdict.DLT, ToxicityState.UNDECIDED: Verdict.UNDECIDED}.get(self.state)
        return next((event for event in self.events if event.verdict is wanted), None)


def judge_event(
    event: ToxicEvent, *, definition: ToxicityDefinition, first_dose: date, as_of: date
) -> EventVerdict:
    """Judge one event against a definition.

    Parameters
    ----------
    event
        The event.
    definition
        Protocol data, with nothing left open that a verdict needs.
    first_dose
        Day of the first injection.
    as_of
        The day it is looked at; an event that goes on has lasted until then.

    Returns
    -------
    verdict
        Dose-limiting only where everything the protocol asks for is known to hold; not where anything is known not to;
        undecided otherwise.
    """
    cause = event.attribution.name_causes(definition.related_words)
    in_window, place = _place_onset(event, definition=definition, first_dose=first_dose)
    if in_window is False:
        return EventVerdict(event=event, verdict=Verdict.NO, reason=place, cause=cause)
    haematological = definition.is_haematological(event)
    spoken = [c for c in definition.criteria if c.covers(event, haematological=haematological)]
    found = [
        _judge_criterion(
            event, criterion, definition=definition, as_of=as_of, known=(in_window, place, cause)
        )
        for criterion in spoken
    ]
    if not found:
        return EventVerdict(
            event=event, verdict=Verdict.NO, reason="no criterion speaks of this term", cause=cause
        )
    order = (Verdict.DLT, Verdict.UNDECIDED, Verdict.NO)
    return min(found, key=lambda verdict: order.index(verdict.verdict))


def _judge_criterion(
    event: ToxicEvent,
    criterion: ToxicityCriterion,
    *,
    definition: ToxicityDefinition,
    as_of: date,
    known: tuple[bool | None, str, str],
) -> EventVerdict:
    in_window, place, cause = known
    answers = [
        (in_window, place, None),
        (*_compare_grade(event, criterion), None),
        (*_compare_cause(event, definition), None),
        _compare_duration(event, criterion, as_of=as_of),
    ]
    against = [reason for answer, reason, _ in answers if answer is False]
    open_ = [(reason, day) for answer, reason, day in answers if answer is None]
    if against:
        verdict, reason, day = Verdict.NO, against[0], None
    elif open_:
        verdict, reason = Verdict.UNDECIDED, "; ".join(reason for reason, _ in open_)
        day = open_[0][1] if len(open_) == 1 else None
    else:
        verdict, reason, day = Verdict.DLT, f"{criterion.title}: grade {event.grade}", None
    return EventVerdict(
        event=event,
        verdict=verdict,
        reason=reason,
        criterion=criterion.name,
        cause=cause,
        decides_on=day,
    )


def _place_onset(
    event: ToxicEvent, *, definition: ToxicityDefinition, first_dose: date
) -> tuple[bool | None, str]:
    last_day = definition.last_day(first_dose)
    earliest, latest = event.onset.earliest, event.onset.latest
    if earliest is None or latest is None:
        return None, "the onset is not known"
    if latest < first_dose:
        return False, "began before the first dose"
    if earliest > last_day:
        return False, f"began after the window, which closed on {last_day.isoformat()}"
    if earliest >= first_dose and latest <= last_day:
        return True, "in the window"
    return None, f"the onset is known only as {event.onset.text}"


def _compare_grade(event: ToxicEvent, criterion: ToxicityCriterion) -> tuple[bool | None, str]:
    if event.grade is None:
        return None, "no grade is given"
    least = criterion.grade_min.number
    return event.grade >= least, f"grade {event.grade}, {least:g} or more counts"


def _compare_cause(event: ToxicEvent, definition: ToxicityDefinition) -> tuple[bool | None, str]:
    wanted = str(definition.attribution.value)
    if wanted == "any":
        return True, "any cause counts"
    related = definition.related_words
    both = {
        "agent": counts(event.attribution.agent, related),
        "procedure": counts(event.attribution.procedure, related),
    }
    answers = [both[cause] for cause in wanted.split(" or ")]
    if any(answers):
        return True, "related"
    if None in answers:
        return None, f"the relation to the {wanted} is not given"
    return False, f"not related to the {wanted}"


def _compare_duration(
    event: ToxicEvent, criterion: ToxicityCriterion, *, as_of: date
) -> tuple[bool | None, str, date | None]:
    if criterion.lasting_min is None:
        return True, "no duration is asked for", None
    least = int(criterion.lasting_min.number)
    earliest, latest = event.onset.earliest, event.onset.latest
    if earliest is None or latest is None:
        return None, "the onset is not known", None
    ongoing = event.end.earliest is None or event.end.earliest > as_of
    shortest_end = as_of if event.end.earliest is None else min(event.end.earliest, as_of)
    longest_end = as_of if event.end.latest is None else min(event.end.latest, as_of)
    shortest, longest = (shortest_end - latest).days + 1, (longest_end - earliest).days + 1
    if shortest >= least:
        return True, f"lasted {shortest} days", None
    if ongoing:
        decides = latest + timedelta(days=least - 1)
        return None, f"goes on; {least} days are complete on {decides.isoformat()}", decides
    if longest >= least:
        return None, f"dates known in part: it may have lasted {least} days", None
    return False, f"lasted {max(longest, 0)} days, {least} or more count", None


def judge_patient(patient: TreatedPatient, *, definition: ToxicityDefinition, as_of: date) -> PatientVerdict:
    """Judge one patient.

    An undecided event keeps the patient pending: only the days before its onset are surely free of toxicity.

    Parameters
    ----------
    patient
        The records.
    definition
        Protocol data.
    as_of
        The day it is looked at; events that began later do not count.

    Raises
    ------
    NotSetError
        If the definition leaves open what is needed, `replace` included where a patient cannot be evaluated.
    InputError
        If the first dose lies after the day, or the last day of observation before the first dose.
    """
    definition.require_rules()
    _check_days(patient, as_of=as_of)
    verdicts = _judge_events(patient, definition=definition, as_of=as_of)
    length = definition.window_length_days
    closes_on = definition.last_day(patient.first_dose)
    observed = as_of if patient.off_study is None else min(as_of, patient.off_study)
    followed = min(max((observed - patient.first_dose).days, 0), length)
    state, reason, days = _judge_state(
        patient, verdicts, definition=definition, as_of=as_of, followed=followed
    )
    evaluable = True
    if state is ToxicityState.NOT_EVALUABLE:
        replaced = _need_replace(definition)
        evaluable = not replaced
        reason = f"{reason}; {'replaced' if replaced else 'counts as one without a toxicity'}"
        days = days if replaced else length
    return PatientVerdict(
        patient=patient,
        state=state,
        reason=reason,
        dlt=state is ToxicityState.DLT,
        follow_up_days=days,
        window_days=length,
        evaluable=evaluable,
        closes_on=closes_on,
        events=verdicts,
    )


def _check_days(patient: TreatedPatient, *, as_of: date) -> None:
    if patient.first_dose > as_of:
        raise InputError(expected="a first dose on or before the day of the report", given="a later one")
    if patient.off_study is not None and patient.off_study < patient.first_dose:
        raise InputError(expected="a last day on or after the first dose", given="an earlier one")


def _judge_events(
    patient: TreatedPatient, *, definition: ToxicityDefinition, as_of: date
) -> tuple[EventVerdict, ...]:
    order = (Verdict.DLT, Verdict.UNDECIDED, Verdict.NO)
    found = [
        judge_event(event, definition=definition, first_dose=patient.first_dose, as_of=as_of)
        for event in patient.events
        if event.onset.earliest is None or event.onset.earliest <= as_of
    ]
    return tuple(
        sorted(
            found,
            key=lambda item: (
                order.index(item.verdict),
                item.event.onset.earliest or date.min,
                item.event.term,
                -(item.event.grade or 0),
                str(item.event.attribution),
                item.event.end.text,
                item.event.row,
            ),
        )
    )


def _judge_state(
    patient: TreatedPatient,
    verdicts: tuple[EventVerdict, ...],
    *,
    definition: ToxicityDefinition,
    as_of: date,
    followed: int,
) -> tuple[ToxicityState, str, int]:
    length = definition.window_length_days
    closes_on = definition.last_day(patient.first_dose)
    first = verdicts[0] if verdicts else None
    if first is not None and first.verdict is Verdict.DLT:
        return ToxicityState.DLT, f"{first.event.term}: {first.reason}", followed
    undecided = [item for item in verdicts if item.verdict is Verdict.UNDECIDED]
    if undecided:
        free = min(_count_free(item.event, patient.first_dose) for item in undecided)
        head = undecided[0]
        # Never as long as the window: an open question must not read as a patient without a toxicity.
        days = min(free, followed, length - 1)
        return ToxicityState.UNDECIDED, f"{head.event.term}: {head.reason}", days
    if patient.off_study is not None and patient.off_study < min(as_of, closes_on):
        days_seen = (patient.off_study - patient.first_dose).days + 1
        return ToxicityState.NOT_EVALUABLE, f"left on day {days_seen} of {length}", followed
    if as_of <= closes_on:
        return (
            ToxicityState.PENDING,
            f"the window closes on {closes_on.isoformat()}",
            min(followed, length - 1),
        )
    least, given = definition.injections_min, patient.injections
    asked = least is not None and least.status is not EvidenceStatus.NOT_SET
    if asked and least is not None and given is not None and given < least.number:
        return ToxicityState.NOT_EVALUABLE, f"had {given} of {least.number:g} injections", followed
    return ToxicityState.NO_DLT, "no dose-limiting toxicity in the window", length


def _count_free(event: ToxicEvent, first_dose: date) -> int:
    onset = event.onset.earliest
    return 0 if onset is None else max(0, (onset - first_dose).days)


def _need_replace(definition: ToxicityDefinition) -> bool:
    if definition.replace.status is EvidenceStatus.NOT_SET:
        raise NotSetError(
            expected="whether a patient who cannot be evaluated is replaced",
            given="not set",
            where=f"definition {definition.name} [evaluable.replace]",
            action="supply it: --set evaluable.replace=true or --set evaluable.replace=false",
        )
    return bool(definition.replace.value)


def check_patient(verdict: PatientVerdict, *, definition: ToxicityDefinition) -> tuple[Finding, ...]:
    """Check what a person has to look at beside the verdict.

    Rules: ``dlt.undecided``; ``dlt.window_edge`` for an onset on the day that counts or not with the edge of the
    window; ``dlt.injections_unknown``. ``subject`` is the line of the table.
    """
    findings = [
        Finding(
            rule="dlt.undecided",
            severity=Severity.WARNING,
            message=f"An event may be dose-limiting and is undecided: {item.reason}.",
            subject=str(item.event.row or ""),
        )
        for item in verdict.events
        if item.verdict is Verdict.UNDECIDED
    ]
    edge = verdict.patient.first_dose + timedelta(days=int(definition.window.number))
    least = min(criterion.grade_min.number for criterion in definition.criteria)
    for item in verdict.events:
        if item.event.onset.day == edge and (item.event.grade or 0) >= least:
            findings.append(
                Finding.from_limit(
                    definition.window,
                    rule="dlt.window_edge",
                    severity=Severity.WARNING,
                    message="An event began on the day that the edge of the window decides about.",
                    measured=int(definition.window.number),
                    subject=str(item.event.row or ""),
                )
            )
    if verdict.state is ToxicityState.NO_DLT and verdict.patient.injections is None:
        asked = definition.injections_min
        if asked is not None:
            findings.append(
                Finding(
                    rule="dlt.injections_unknown",
                    severity=Severity.WARNING,
                    message="Injections given in the window are not recorded: evaluability is taken for granted.",
                    subject=str(verdict.patient.row or ""),
                )
            )
    return tuple(findings)
