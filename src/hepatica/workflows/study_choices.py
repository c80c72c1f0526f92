"""What a protocol version can be entered with, and whether what was entered can be used."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

from hepatica.core.errors import HepaticaError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.followup.safety.toxicity import ATTRIBUTIONS
from hepatica.followup.safety.toxicity_file import list_definitions, read_definition
from hepatica.followup.visits.schedule_file import list_schedules, read_schedule
from hepatica.planning.dose.document import LEVEL_MARK
from hepatica.planning.dose.protocol import list_protocols, read_protocol
from hepatica.record.people import require_right
from hepatica.trials.escalation import list_designs
from hepatica.trials.escalation.catalogue import list_design_needs
from hepatica.workflows.conduct.design import parse_escalation_plan
from hepatica.workflows.record_ports import RecordContext

RIGHT: Final = "study.write"
WORDS: Final[Mapping[str, tuple[str, ...]]] = {
    "attribution": ATTRIBUTIONS,
    "evaluable.replace": ("true", "false"),
}
"""Open places that take a word; all others take a number."""


def list_study_choices(context: RecordContext) -> dict[str, Any]:
    """Return dose protocols, schedules, definitions and designs as JSON, each with what it leaves open.

    Parameters
    ----------
    context
        Who asks; needs the right ``study.write``.
    """
    require_right(context.actor, RIGHT)
    return {
        "protocols": _list_doses(),
        "schedules": [_describe_schedule(name) for name in list_schedules()],
        "definitions": [_describe_definition(name) for name in list_definitions()],
        "designs": [
            {"name": name, "needs_target": "target" in needs, "needs_skeleton": "skeleton" in needs}
            for name, needs in ((name, list_design_needs(name)) for name in list_designs())
            if needs is not None
        ],
    }


def check_study(context: RecordContext, values: Mapping[str, Any]) -> list[str]:
    """Return why a protocol version could not be used as it is meant; empty where it can.

    What it leaves open is no fault: the pages then say that they cannot answer.

    Parameters
    ----------
    context
        Who asks; needs the right ``study.write``.
    values
        Of an item of kind ``study``.
    """
    require_right(context.actor, RIGHT)
    found = []
    for check in (_check_dose, _check_schedule, _check_definition, _check_design):
        try:
            check(values)
        except HepaticaError as problem:
            found.append(f"{problem.where}: expected {problem.expected}, given {problem.given}")
    # A definition that cannot be read was told of above.
    with suppress(HepaticaError):
        found += _compare_windows(values)
    return found


def _list_doses() -> list[dict[str, str]]:
    found = []
    for name in list_protocols():
        protocol = read_protocol(name)
        found += [
            {"name": f"{name}{LEVEL_MARK}{level}", "title": f"{protocol.title}, level {level}"}
            for level in protocol.levels
        ] or [{"name": name, "title": protocol.title}]
    return found


def _describe_schedule(name: str) -> dict[str, Any]:
    schedule = read_schedule(name)
    needed = {item.key for rule in schedule.rules for item in rule.timing}
    return {
        "name": name,
        "title": schedule.title,
        "open": _list_open(schedule.evidence, needed=needed, root="visits."),
    }


def _describe_definition(name: str) -> dict[str, Any]:
    definition = read_definition(name)
    return {
        "name": name,
        "title": definition.title,
        "open": _list_open(definition.evidence, needed=set(definition.missing), root=""),
    }


def _list_open(items: Iterable[Evidence], *, needed: set[str], root: str) -> list[dict[str, Any]]:
    keys: dict[str, Evidence] = {item.key: item for item in items if item.status is EvidenceStatus.NOT_SET}
    return [
        {
            "key": key.removeprefix(root),
            "unit": item.unit,
            "words": list(WORDS.get(key, ())),
            "needed": key in needed,
        }
        for key, item in keys.items()
    ]


def _check_dose(values: Mapping[str, Any]) -> None:
    if values.get("dose_protocol"):
        read_protocol(str(values["dose_protocol"]))


def _check_schedule(values: Mapping[str, Any]) -> None:
    if values.get("schedule"):
        read_schedule(str(values["schedule"]), supplied=_numbers(values, "schedule_numbers"))


def _check_definition(values: Mapping[str, Any]) -> None:
    if values.get("dlt_definition"):
        read_definition(str(values["dlt_definition"]), supplied=_numbers(values, "dlt_numbers"))


def _check_design(values: Mapping[str, Any]) -> None:
    given = values.get("escalation_design")
    if isinstance(given, Mapping) and given:
        parse_escalation_plan(given)


def _compare_windows(values: Mapping[str, Any]) -> list[str]:
    days = values.get("dlt_window_days")
    if not isinstance(days, int) or not values.get("dlt_definition"):
        return []
    window = read_definition(str(values["dlt_definition"]), supplied=_numbers(values, "dlt_numbers")).window
    if window.value is None or float(window.number) == days:
        return []
    return [f"dlt_window_days: expected {window.number:g} days as the definition says, given {days}"]


def _numbers(values: Mapping[str, Any], name: str) -> dict[str, float | str]:
    given = values.get(name)
    return dict(given) if isinstance(given, Mapping) else {}
