"""What a protocol version of the record says of visits and of dose-limiting toxicity."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from hepatica.core.findings import NotEvaluable
from hepatica.followup.safety.toxicity import ToxicityDefinition
from hepatica.followup.safety.toxicity_file import list_definitions, read_definition
from hepatica.followup.visits.schedule import Schedule
from hepatica.followup.visits.schedule_file import list_schedules, read_schedule
from hepatica.record.item import Item
from hepatica.workflows.consent_guard import read_protocol_version
from hepatica.workflows.read_items import list_items, read_item
from hepatica.workflows.record_ports import PAGE_MAX, ItemFilter, RecordContext

NO_STUDY = NotEvaluable(reason="no protocol version is entered")


def find_study(context: RecordContext) -> Item | None:
    """Return the protocol version in force today, or None.

    Parameters
    ----------
    context
        Who asks.
    """
    with context.store.reading() as reader:
        return read_protocol_version(reader, on=context.now_utc().date().isoformat())


def find_schedule(study: Item | None) -> Schedule | NotEvaluable:
    """Return the visit schedule of a protocol version, its open numbers filled by the protocol.

    Parameters
    ----------
    study
        Item of kind ``study``, or None.
    """
    if study is None:
        return NO_STUDY
    name = str(study.values.get("schedule", ""))
    if name not in list_schedules():
        return NotEvaluable(reason="the protocol version names no visit schedule")
    schedule = _read_schedule(name, _freeze(study.values.get("schedule_numbers")))
    if any(_list_missing_timing(schedule)):
        return NotEvaluable(reason="the schedule leaves an interval open")
    return schedule


def find_toxicity_definition(study: Item | None) -> ToxicityDefinition | NotEvaluable:
    """Return what a protocol version calls dose-limiting.

    Parameters
    ----------
    study
        Item of kind ``study``, or None.
    """
    if study is None:
        return NO_STUDY
    name = str(study.values.get("dlt_definition", ""))
    if name not in list_definitions():
        return NotEvaluable(reason="the protocol version names no definition of dose-limiting toxicity")
    definition = _read_definition(name, _freeze(study.values.get("dlt_numbers")))
    if definition.missing:
        return NotEvaluable(reason=f"the definition leaves open: {', '.join(definition.missing)}")
    return definition


def read_patient(context: RecordContext, patient_id: str) -> Item:
    """Return a patient that the person may see.

    Parameters
    ----------
    context
        Who asks.
    patient_id
        Whose.

    Raises
    ------
    NotFoundError
        If there is none, or it is not for him.
    """
    return read_item(context, kind="patient", item_id=patient_id)


def list_all(context: RecordContext, wanted: ItemFilter) -> Iterator[Item]:
    """Return every item that a filter finds and the person may see, page after page.

    Parameters
    ----------
    context
        Who asks.
    wanted
        The filter.
    """
    wanted = replace(wanted, after="", limit=PAGE_MAX)
    while True:
        page, _ = list_items(context, wanted)
        yield from page.items
        if not page.next:
            return
        wanted = replace(wanted, after=page.next)


def _freeze(numbers: object) -> tuple[tuple[str, float | str], ...]:
    return tuple(sorted(numbers.items())) if isinstance(numbers, Mapping) else ()


@lru_cache(maxsize=16)
def _read_schedule(name: str, numbers: tuple[tuple[str, float | str], ...]) -> Schedule:
    return read_schedule(name, supplied=dict(numbers))


@lru_cache(maxsize=16)
def _read_definition(name: str, numbers: tuple[tuple[str, float | str], ...]) -> ToxicityDefinition:
    return read_definition(name, supplied=dict(numbers))


def _list_missing_timing(schedule: Schedule) -> Iterator[str]:
    for rule in schedule.rules:
        yield from (item.key for item in rule.timing if item.value is None)
