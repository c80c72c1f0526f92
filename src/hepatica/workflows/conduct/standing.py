"""Who had which dose with what outcome, and what the design makes of it: counts of the whole trial.

A dose is decided on all patients of the trial, whatever the site of who asks: counts are of all sites, patients are
named only to those who may see them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

from hepatica.core.findings import NotEvaluable
from hepatica.followup.safety.dlt import PatientVerdict
from hepatica.followup.safety.toxicity import ToxicityDefinition, ToxicityState
from hepatica.record.item import Item
from hepatica.record.people import require_right
from hepatica.trials.cohort_slots import CohortSlots, derive_slots
from hepatica.trials.design import Design, Recommendation
from hepatica.trials.dose_levels import read_patients
from hepatica.trials.outcomes import TrialData
from hepatica.trials.populations import FollowingPopulation, derive_cleared_level
from hepatica.workflows.conduct.design import EscalationPlan, read_escalation_plan
from hepatica.workflows.consent_guard import read_protocol_version
from hepatica.workflows.follow.protocol import find_toxicity_definition
from hepatica.workflows.follow.safety import judge_toxicity
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext, RecordReader

RIGHT: Final = "trial.read"
NO_LEVEL: Final = NotEvaluable(reason="no dose level is entered, or it is none of the design")
OPEN_STATES: Final = (ToxicityState.PENDING, ToxicityState.UNDECIDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientStanding:
    """One injected patient.

    Parameters
    ----------
    item
        Item of kind ``patient``.
    level
        Dose level from 1.
    started
        True day of the first injection, which orders patients and is never shown where dates are moved.
    verdict
        How he stands, or why nobody can say.
    """

    item: Item
    level: int
    started: date
    verdict: PatientVerdict | NotEvaluable

    def to_row(self) -> dict[str, str]:
        """Return the columns that ``hepatica trial next-dose --patients`` reads."""
        assert isinstance(self.verdict, PatientVerdict)
        return {
            "dose": str(self.level),
            "dlt": "1" if self.verdict.dlt else "0",
            "follow_up": str(self.verdict.follow_up_days),
            "window": str(self.verdict.window_days),
            "evaluable": "1" if self.verdict.evaluable else "0",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PopulationStanding:
    """Patients who escalate together, and what the design says of them.

    Parameters
    ----------
    name
        Of the population; empty where there is one only.
    patients
        Injected patients who can be judged, in the order of treatment.
    waiting
        Patients with a level who were not injected yet.
    data, advice, slots
        As the design sees them, what it says, and the current cohort.
    design
        That said it, bound to the leading population where there is one.
    """

    name: str
    patients: tuple[PatientStanding, ...]
    waiting: tuple[Item, ...]
    data: TrialData
    advice: Recommendation
    slots: CohortSlots
    design: Design


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialStanding:
    """How the escalation stands today.

    Parameters
    ----------
    study
        Protocol version in force, or None.
    plan, definition
        Its escalation design and its definition of dose-limiting toxicity, or why there is none.
    today
        The day.
    populations
        One, or the leading and the following; none where the design cannot be asked.
    injected
        Every injected patient.
    uncounted
        Those of them who cannot be judged or have no level: the design does not know of them.
    """

    study: Item | None
    plan: EscalationPlan | NotEvaluable
    definition: ToxicityDefinition | NotEvaluable
    today: date
    populations: tuple[PopulationStanding, ...]
    injected: tuple[PatientStanding, ...]
    uncounted: tuple[tuple[Item, NotEvaluable], ...]


def derive_standing(context: RecordContext) -> TrialStanding:
    """Return how the escalation of the trial stands.

    Parameters
    ----------
    context
        Who asks; needs the right ``trial.read``. The patients in the answer are those of all sites: whoever passes it
        on names only those the person may see.
    """
    require_right(context.actor, RIGHT)
    today = context.now_utc().date()
    with context.store.reading() as reader:
        study = read_protocol_version(reader, on=today.isoformat())
        patients = list(list_items_of_all_sites(reader, "patient"))
        events = _group(list_items_of_all_sites(reader, "adverse_event"))
        consents = _group(list_items_of_all_sites(reader, "consent"))
    plan, definition = read_escalation_plan(study), find_toxicity_definition(study)
    injected: list[PatientStanding] = []
    uncounted: list[tuple[Item, NotEvaluable]] = []
    waiting: list[Item] = []
    for patient in patients:
        text, level = patient.values.get("reference_date"), patient.values.get("dose_level")
        if not isinstance(text, str):
            if isinstance(level, int) and patient.values.get("status") in ("screening", "on_treatment"):
                waiting.append(patient)
            continue
        verdict = judge_toxicity(
            patient,
            events[patient.item_id],
            definition,
            as_of=context.patient_now(patient.item_id).date(),
            consents=consents[patient.item_id],
        )
        if not _fits(level, plan):
            verdict = NO_LEVEL
        if isinstance(verdict, NotEvaluable):
            uncounted.append((patient, verdict))
        if isinstance(level, int) and len(text) == len("2026-01-01"):
            started = date.fromisoformat(text) - _find_offset(context, patient)
            injected.append(PatientStanding(item=patient, level=level, started=started, verdict=verdict))
    injected.sort(key=lambda one: (one.started, str(one.item.values["subject_id"])))
    populations: tuple[PopulationStanding, ...] = ()
    if isinstance(plan, EscalationPlan) and not isinstance(definition, NotEvaluable):
        populations = _derive_populations(plan, injected, waiting, today=today)
    return TrialStanding(
        study=study,
        plan=plan,
        definition=definition,
        today=today,
        populations=populations,
        injected=tuple(injected),
        uncounted=tuple(uncounted),
    )


def read_plan(context: RecordContext) -> EscalationPlan | NotEvaluable:
    """Return the escalation design of the protocol version in force.

    Parameters
    ----------
    context
        Who asks.
    """
    with context.store.reading() as reader:
        return read_escalation_plan(read_protocol_version(reader, on=context.now_utc().date().isoformat()))


def list_items_of_all_sites(reader: RecordReader, kind: str) -> Iterator[Item]:
    """Yield every item of a kind, whatever its site; for counts only.

    Parameters
    ----------
    reader
        View of the record.
    kind
        The kind.
    """
    wanted = ItemFilter(kind=kind, limit=PAGE_MAX)
    while True:
        page = reader.list_items(wanted)
        yield from page.items
        if not page.next:
            return
        wanted = replace(wanted, after=page.next)


def _group(items: Iterator[Item]) -> Mapping[str, list[Item]]:
    found: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        found[item.patient_id].append(item)
    for own in found.values():
        own.sort(key=lambda item: (str(item.values.get("start_date", "")), item.item_id), reverse=True)
    return found


def _fits(level: object, plan: EscalationPlan | NotEvaluable) -> bool:
    return isinstance(level, int) and (isinstance(plan, NotEvaluable) or level <= len(plan.levels))


def _find_offset(context: RecordContext, patient: Item) -> timedelta:
    return context.patient_now(patient.item_id).date() - context.now_utc().date()


def _derive_populations(
    plan: EscalationPlan, injected: Sequence[PatientStanding], waiting: Sequence[Item], *, today: date
) -> tuple[PopulationStanding, ...]:
    linked = plan.populations
    if linked is None:
        return (_derive_population("", plan, plan.design, injected, waiting, today=today),)

    def follows(item: Item) -> bool:
        return item.values.get("tumour_type") in linked.follower_tumours

    leader = _derive_population(
        linked.leader,
        plan,
        plan.design,
        [one for one in injected if not follows(one.item)],
        [item for item in waiting if not follows(item)],
        today=today,
    )
    bound = FollowingPopulation(
        design=plan.design,
        cleared=derive_cleared_level(plan.design, leader.data),
        leader=linked.leader,
        follower=linked.follower,
    )
    follower = _derive_population(
        linked.follower,
        plan,
        bound,
        [one for one in injected if follows(one.item)],
        [item for item in waiting if follows(item)],
        today=today,
    )
    return leader, follower


def _derive_population(
    name: str,
    plan: EscalationPlan,
    design: Design,
    injected: Sequence[PatientStanding],
    waiting: Sequence[Item],
    *,
    today: date,
) -> PopulationStanding:
    judged = tuple(one for one in injected if isinstance(one.verdict, PatientVerdict))
    data = read_patients([one.to_row() for one in judged]) if judged else TrialData()
    advice = design.next_dose(data)
    if advice.hold is not None:
        advice = replace(advice, hold=advice.hold.dated(today))
    slots = derive_slots(
        data,
        advice,
        size=plan.cohort_size,
        waiting=[level for item in waiting if isinstance(level := item.values["dose_level"], int)],
        first_doses=[(one.level, one.started) for one in judged],
        delay_days=plan.delay_days,
        today=today,
    )
    return PopulationStanding(
        name=name,
        patients=judged,
        waiting=tuple(waiting),
        data=data,
        advice=advice,
        slots=slots,
        design=design,
    )
