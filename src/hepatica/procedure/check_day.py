"""Everything that is wrong with a day, most severe first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.procedure.check_supply import check_supply
from hepatica.procedure.compare import find_step_ml
from hepatica.procedure.entry import Entry
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.state import DayState
from hepatica.procedure.supply import is_agent
from hepatica.procedure.watch import check_sedation

RULE: Final = "rule of this program"
PLAN: Final = "the plan"
CLOCK_SKEW: Final = timedelta(minutes=5)
"""Clocks of two tablets and a server may differ; what is entered this much before it happened is a slip."""
SECONDS_PER_MIN: Final = 60.0
WORST_FIRST: Final = (Severity.ERROR, Severity.WARNING, Severity.INFO)


def check_day(
    day: DayState, planned: PlannedDay, *, as_of: datetime, settings: DaySettings | None = None
) -> tuple[Finding, ...]:
    """Return every finding about a day.

    Parameters
    ----------
    day
        From `hepatica.procedure.state.derive_day`.
    planned, settings
        What it is held against.
    as_of
        The moment it is looked at.
    """
    chosen = settings or DaySettings()
    found = (
        *day.settled.conflicts,
        *day.order_findings,
        *check_sedation(day.sedations, as_of=day.last_at if day.phase.is_over and day.last_at else as_of),
        *_check_preparation(day, planned, chosen),
        *check_supply(day, planned, settings=chosen, as_of=as_of),
        *_check_amounts(day, planned),
        *_check_lesions(day, planned),
        *_check_tips(day),
        *_check_observation(day, chosen),
        *_check_times(day),
        *_check_reasons(day),
    )
    return tuple(sorted(dict.fromkeys(found), key=lambda finding: WORST_FIRST.index(finding.severity)))


def _of(day: DayState, kind: str) -> tuple[Entry, ...]:
    return tuple(entry for entry in day.live if entry.kind == kind)


def _check_preparation(day: DayState, planned: PlannedDay, settings: DaySettings) -> Iterator[Finding]:
    if not planned.cleared:
        yield _find(
            "plan_not_cleared",
            "The plan is not cleared: not everything in reach of the needle is known.",
            severity=Severity.WARNING,
            source=PLAN,
        )
    began = bool(_of(day, "needle_in") or _of(day, "deposit"))
    consents = _of(day, "consent_check")
    if began and not any(entry.flag("confirmed") for entry in consents):
        yield _find("no_consent", "A needle went in without a confirmed consent.")
    for entry in consents:
        if settings.protocol_version and entry.text("protocol_version") != settings.protocol_version:
            yield _find(
                "consent_version",
                "The consent is to another version of the protocol than the one in force.",
                subject=entry.entry_id,
                measured=entry.text("protocol_version"),
                limit=settings.protocol_version,
            )
    if began and not settings.protocol_version:
        yield _find(
            "protocol_version_not_set",
            "Nobody has said which version of the protocol is in force.",
            severity=Severity.WARNING,
        )
    for entry in _of(day, "lab_check"):
        if not entry.flag("accepted"):
            yield _find("labs", "The laboratory values were not accepted.", subject=entry.entry_id)
    for entry in _of(day, "time_out"):
        yield from _check_time_out(entry, planned)


def _check_time_out(entry: Entry, planned: PlannedDay) -> Iterator[Finding]:
    if not (entry.flag("patient_confirmed") and entry.flag("site_confirmed")):
        yield _find("time_out", "The time-out did not confirm patient and site.", subject=entry.entry_id)
    if not is_agent(entry.text("agent"), planned):
        yield _find("agent", "The time-out names another agent than the plan.", subject=entry.entry_id)
    named = set(entry.values["lesion_ids"])
    wanted = {lesion.lesion_id for lesion in planned.injected}
    if named - wanted:
        yield _find(
            "lesion_list",
            f"The time-out names lesions the plan gives nothing to: {', '.join(sorted(named - wanted))}.",
            subject=entry.entry_id,
            source=PLAN,
        )
    if wanted - named:
        yield _find(
            "lesion_list_short",
            f"The time-out leaves out planned lesions: {', '.join(sorted(wanted - named))}.",
            severity=Severity.WARNING,
            subject=entry.entry_id,
            source=PLAN,
        )


def _check_amounts(day: DayState, planned: PlannedDay) -> Iterator[Finding]:
    total = 0.0
    for row in day.comparison.lesions:
        if isinstance(row.given_ml, NotEvaluable):
            continue
        total += row.given_ml
        wanted = row.planned_ml - row.no_place_ml
        if wanted > 0 and row.given_ml >= wanted + find_step_ml(wanted) - 1e-9:
            yield _find(
                "more_than_planned",
                "The lesion got more than planned.",
                subject=row.lesion_id,
                measured=row.given_ml,
                limit=wanted,
                unit="ml",
                source=PLAN,
            )
        if isinstance(row.leaked_ml, NotEvaluable):
            yield _find(
                "leak_unknown",
                f"How much stayed in the lesion is not known: {row.leaked_ml.reason}.",
                severity=Severity.WARNING,
                subject=row.lesion_id,
            )
    if planned.ceiling_ml is not None and total > planned.ceiling_ml + 1e-9:
        yield _find(
            "ceiling",
            "More was given than the protocol's ceiling of a visit.",
            measured=total,
            limit=planned.ceiling_ml,
            unit="ml",
            source=PLAN,
        )


def _check_lesions(day: DayState, planned: PlannedDay) -> Iterator[Finding]:
    planned_names = {lesion.lesion_id for lesion in planned.injected}
    time_outs = _of(day, "time_out")
    for entry in _of(day, "deposit"):
        name = entry.text("lesion_id")
        if name not in planned_names:
            yield _find(
                "unlisted_lesion",
                "A lesion was injected that the plan gives nothing to.",
                subject=name,
                source=PLAN,
            )
        before = [each for each in time_outs if each.occurred_at <= entry.occurred_at]
        if before and name not in before[-1].values["lesion_ids"]:
            yield _find(
                "not_in_time_out",
                "A lesion was injected that the time-out did not name.",
                subject=name,
                source="the time-out",
            )
    given = list(dict.fromkeys(entry.text("lesion_id") for entry in _of(day, "deposit")))
    ranked = [lesion.lesion_id for lesion in planned.injected if lesion.lesion_id in given]
    if [name for name in given if name in ranked] != ranked:
        yield _find(
            "lesion_order",
            "The lesions were injected in another order than planned.",
            severity=Severity.INFO,
            measured=", ".join(given),
            limit=", ".join(ranked),
            source=PLAN,
        )


def _check_tips(day: DayState) -> Iterator[Finding]:
    for tip in day.comparison.tips:
        if isinstance(tip.deviation_mm, NotEvaluable):
            yield _find(
                "tip_not_evaluable",
                f"The tip cannot be held against the plan: {tip.deviation_mm.reason}.",
                severity=Severity.WARNING,
                subject=tip.needle_id,
            )
        for name in tip.outside_lesions:
            yield _find(
                "tip_outside",
                f"The tip was farther from the centre of {name} than half its longest diameter.",
                severity=Severity.WARNING,
                subject=tip.needle_id,
                source="geometry: a lesion lies within half its longest diameter only if it is a sphere",
            )
    checked: set[str] = set()
    warned: set[str] = set()
    for entry in day.live:
        needle = entry.text("needle_id")
        if entry.kind == "tip_check":
            checked.add(needle)
        elif entry.kind == "deposit" and needle not in checked | warned:
            warned.add(needle)
            yield _find(
                "tip_unchecked",
                "A deposit was given before the tip was seen on a control image.",
                severity=Severity.WARNING,
                subject=needle,
            )


def _check_observation(day: DayState, settings: DaySettings) -> Iterator[Finding]:
    starts, ends = _of(day, "observation_start"), _of(day, "observation_end")
    if not starts or not ends:
        return
    minutes = (ends[-1].occurred_at - starts[0].occurred_at).total_seconds() / SECONDS_PER_MIN
    site = settings.limits["observation_min"]
    own = starts[0].number("planned_min")
    limit = own if own is not None else (None if site.value is None else site.number)
    if limit is None:
        yield Finding(
            rule="procedure.observation_not_set",
            severity=Severity.INFO,
            message="No time of observation is set.",
            measured=round(minutes, 2),
            unit="min",
            source=site.source,
            status=site.status,
        )
    elif minutes < limit:
        yield _find(
            "observation_short",
            "Observation was shorter than set.",
            severity=Severity.WARNING,
            measured=round(minutes, 2),
            limit=limit,
            unit="min",
            source="set at its start" if own is not None else site.source,
        )


def _check_times(day: DayState) -> Iterator[Finding]:
    closings = [entry for entry in day.live if entry.kind in ("close", "cancel")]
    for entry in day.live:
        if entry.occurred_at > entry.entered_at + CLOCK_SKEW:
            yield _find(
                "time",
                "The entry says that it happened after it was entered.",
                severity=Severity.WARNING,
                subject=entry.entry_id,
            )
        late = [
            end
            for end in closings
            if entry is not end and entry.entered_at > end.entered_at and day.phase.is_over
        ]
        if late and not entry.supersedes:
            yield _find(
                "after_close", "The entry was added after the day was closed.", subject=entry.entry_id
            )
        elif any(entry.occurred_at > end.occurred_at for end in closings if day.phase.is_over):
            yield _find("after_close", "It happened after the day was closed.", subject=entry.entry_id)


def _check_reasons(day: DayState) -> Iterator[Finding]:
    severity = Severity.ERROR if day.phase.is_over else Severity.WARNING
    for deviation in day.comparison.unexplained:
        yield Finding(
            rule="procedure.deviation",
            severity=severity,
            message=f"{deviation.message} Nobody has said why ({deviation.key}).",
            measured="" if deviation.performed is None else round(deviation.performed, 6),
            limit="" if deviation.planned is None else round(deviation.planned, 6),
            unit=deviation.unit,
            source=PLAN,
            subject=deviation.subject,
        )


def _find(
    rule: str,
    message: str,
    *,
    severity: Severity = Severity.ERROR,
    subject: str = "",
    measured: float | str = "",
    limit: float | str = "",
    unit: str = "",
    source: str = RULE,
) -> Finding:
    return Finding(
        rule=f"procedure.{rule}",
        severity=severity,
        message=message,
        measured=measured,
        limit=limit,
        unit=unit,
        source=source,
        subject=subject,
    )
