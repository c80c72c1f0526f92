"""How a trial stands, as plain values: counts of all sites, patients of the person's own sites."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any, Final

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import NotEvaluable
from hepatica.followup.safety.dlt import PatientVerdict
from hepatica.followup.safety.toxicity import ToxicityDefinition, ToxicityState
from hepatica.record.item import Item
from hepatica.record.people import Actor
from hepatica.trials.escalation.interval import IntervalDesign
from hepatica.trials.outcomes import TrialData
from hepatica.workflows.conduct.design import EscalationPlan
from hepatica.workflows.conduct.standing import (
    OPEN_STATES,
    PatientStanding,
    PopulationStanding,
    TrialStanding,
    derive_standing,
)
from hepatica.workflows.record_ports import RecordContext

TABLE_COHORTS: Final = 4
"""The table of decisions goes on for this many cohorts at least."""
TABLE_MOST: Final = 36
"""Its last line: more patients at one level are no escalation."""


def answer_standing(context: RecordContext) -> dict[str, Any]:
    """Return how the escalation stands, for a page or a file.

    Parameters
    ----------
    context
        Who asks; needs the right ``trial.read``.
    """
    return to_standing_document(derive_standing(context), context)


def to_standing_document(standing: TrialStanding, context: RecordContext) -> dict[str, Any]:
    """Return the plain values of a standing.

    Parameters
    ----------
    standing
        Of all sites.
    context
        Who asks: patients of other sites are counted and not named. Where dates are moved, days stand without a date.
    """
    plan, actor = standing.plan, context.actor
    return {
        "today": standing.today.isoformat(),
        "simulated": any(one.item.values.get("simulated") is True for one in standing.injected),
        "study": _to_study(standing.study),
        "plan": _to_plan(plan) if isinstance(plan, EscalationPlan) else None,
        "plan_missing": plan.reason if isinstance(plan, NotEvaluable) else "",
        "definition": _to_definition(standing.definition),
        "populations": [
            _to_population(one, plan, actor, shows_dates=context.dates is None)
            for one in standing.populations
            if isinstance(plan, EscalationPlan)
        ],
        "uncounted": _to_uncounted(standing, actor),
        "injected": len(standing.injected),
        "sites": sorted({one.item.site_id for one in standing.injected if _sees(actor, one.item)}),
        "elsewhere": sum(not _sees(actor, one.item) for one in standing.injected),
    }


def _sees(actor: Actor, item: Item) -> bool:
    return actor.is_system or item.site_id in actor.site_ids


def _to_study(study: Item | None) -> dict[str, Any] | None:
    if study is None:
        return None
    return {
        "study_id": study.item_id,
        "title": study.values["title"],
        "protocol_version": study.values["protocol_version"],
        "valid_from_date": study.values["valid_from_date"],
    }


def _to_plan(plan: EscalationPlan) -> dict[str, Any]:
    return {
        "design": plan.name,
        "target_fraction": plan.target_fraction,
        "cohort_size": plan.cohort_size,
        "delay_days": plan.delay_days,
        "rules": [list(pair) for pair in plan.rules],
        "options": {name: str(value) for name, value in plan.options.items()},
        "levels": [
            {
                "level": number,
                "concentration_pfu_per_ml": level.concentration_pfu_per_ml,
                "volume_ceiling_ml": level.volume_ceiling_ml,
                "ceiling_pfu": level.ceiling_pfu,
            }
            for number, level in enumerate(plan.levels, start=1)
        ],
    }


def _to_definition(definition: ToxicityDefinition | NotEvaluable) -> dict[str, Any]:
    if isinstance(definition, NotEvaluable):
        return {
            "title": "",
            "window_days": None,
            "criteria": [],
            "evidence": [],
            "missing": definition.reason,
        }
    return {
        "title": definition.title,
        "window_days": definition.window_length_days,
        "criteria": [
            f"{criterion.title} {criterion.grade_min.number:g} or more" for criterion in definition.criteria
        ],
        "evidence": [_to_evidence(entry) for entry in definition.evidence],
        "missing": "",
    }


def _to_evidence(entry: Evidence) -> dict[str, Any]:
    return {
        "key": entry.key,
        "value": entry.value,
        "unit": entry.unit,
        "source": entry.source,
        "status": str(entry.status),
        "unverified": entry.status is EvidenceStatus.UNVERIFIED,
    }


def _to_population(
    population: PopulationStanding, plan: EscalationPlan, actor: Actor, *, shows_dates: bool
) -> dict[str, Any]:
    advice, slots = population.advice.to_dict(), population.slots.to_dict()
    if not shows_dates:
        # A day in the future tells the true day of a first dose.
        slots["earliest_date"] = None
        if advice["hold"]:
            advice["hold"]["earliest_date"] = None
    return {
        "name": population.name,
        "advice": advice,
        "slots": slots,
        "levels": [_to_level(number, population) for number in range(1, len(plan.levels) + 1)],
        "open": [
            _to_patient(one)
            for one in population.patients
            if _sees(actor, one.item) and _state(one) in OPEN_STATES
        ],
        "dlts": [
            _to_patient(one)
            for one in population.patients
            if _sees(actor, one.item) and _state(one) is ToxicityState.DLT
        ],
        "open_elsewhere": sum(
            not _sees(actor, one.item) and _state(one) in OPEN_STATES for one in population.patients
        ),
        "waiting": [
            {
                "patient_id": item.item_id,
                "subject_id": item.values["subject_id"],
                "level": item.values["dose_level"],
            }
            for item in population.waiting
            if _sees(actor, item)
        ],
        "outcomes": to_short_outcomes(population.data),
        "command": _to_command(population, plan),
        "table": _to_table(population, plan),
    }


def _state(one: PatientStanding) -> ToxicityState | None:
    return one.verdict.state if isinstance(one.verdict, PatientVerdict) else None


def _to_level(number: int, population: PopulationStanding) -> dict[str, Any]:
    here = [one for one in population.patients if one.level == number]
    states = Counter(_state(one) for one in here)
    data, advice = population.data, population.advice
    return {
        "level": number,
        "injected": len(here),
        "evaluable": data.count(number) - data.pending(number),
        "dlts": data.dlts(number),
        "pending": states[ToxicityState.PENDING],
        "undecided": states[ToxicityState.UNDECIDED],
        "not_evaluable": states[ToxicityState.NOT_EVALUABLE],
        "waiting": sum(item.values["dose_level"] == number for item in population.waiting),
        "prob_tox": advice.prob_tox[number - 1] if advice.prob_tox else None,
        "admissible": bool(advice.dose_admissible[number - 1]),
    }


def _to_patient(one: PatientStanding) -> dict[str, Any]:
    verdict = one.verdict
    assert isinstance(verdict, PatientVerdict)
    return {
        "patient_id": one.item.item_id,
        "subject_id": one.item.values["subject_id"],
        "site_id": one.item.site_id,
        "level": one.level,
        "state": str(verdict.state),
        "closes_on": verdict.closes_on.isoformat(),
        "days_left": max(0, verdict.window_days - verdict.follow_up_days),
        "reason": verdict.reason,
    }


def to_short_outcomes(data: TrialData) -> str:
    """Return counted patients in the short form that ``--outcomes`` takes, in the order of treatment.

    Parameters
    ----------
    data
        Patients.

    Examples
    --------
    >>> from hepatica.trials.outcomes import parse_outcomes
    >>> to_short_outcomes(parse_outcomes("1NN 1T 2P 1N"))
    '1NNT 2P 1N'
    """
    words: list[str] = []
    last = None
    for patient in data.evaluable_patients():
        letter = "P" if patient.pending else "T" if patient.dlt else "N"
        if patient.dose == last:
            words[-1] += letter
        else:
            words.append(f"{patient.dose}{letter}")
        last = patient.dose
    return " ".join(words)


def _to_command(population: PopulationStanding, plan: EscalationPlan) -> str:
    """Return the command that gives the same answer."""
    words = ["hepatica", "trial", "next-dose", plan.name]
    if "skeleton" not in plan.options:
        words += ["--doses", str(len(plan.levels))]
    if plan.target_fraction is not None:
        words += ["--target", f"{plan.target_fraction:g}"]
    for name, value in plan.options.items():
        option = f"--{name.replace('_', '-')}"
        if isinstance(value, bool):
            words += [option] if value else []
        else:
            words += [option, ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)]
    for name, text in plan.rules:
        words += [f"--{name}", *([] if name == "unadmit-untested" else [text])]
    cleared = getattr(population.design, "cleared", None)
    if cleared is not None:
        words += ["--population", population.name, "--cleared", str(cleared)]
    outcomes = to_short_outcomes(population.data)
    return shlex.join([*words, "--outcomes", outcomes] if outcomes else words)


def _to_table(population: PopulationStanding, plan: EscalationPlan) -> dict[str, Any] | None:
    """Return the decisions of a design that decides by counts at the current level; None for others."""
    inner: Any = plan.design
    inner = getattr(inner, "design", inner)
    if not isinstance(inner, IntervalDesign):
        return None
    current = population.data.completed().current_dose
    here = 0 if current is None else population.data.count(current)
    found = inner.table(min(TABLE_MOST, max(here, plan.cohort_size * TABLE_COHORTS)))
    rows = [row for row in found.rows if row["n"] % plan.cohort_size == 0 or row["n"] == here]
    return {
        "title": found.title,
        "columns": dict(found.columns),
        "rows": [dict(row) for row in rows],
        "notes": list(found.notes),
    }


def _to_uncounted(standing: TrialStanding, actor: Actor) -> list[dict[str, Any]]:
    seen = [
        {"patient_id": item.item_id, "subject_id": item.values["subject_id"], "reason": why.reason}
        for item, why in standing.uncounted
        if _sees(actor, item)
    ]
    hidden = sum(not _sees(actor, item) for item, _ in standing.uncounted)
    if hidden:
        seen.append({"patient_id": "", "subject_id": "", "reason": f"{hidden} patient(s) of other sites"})
    return seen
