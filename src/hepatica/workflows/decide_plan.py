"""What a person decides about a plan: punctures chosen, doses changed, derived structures accepted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hepatica.core.errors import NotFoundError, RecordInputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.workflows.change_item import change_item
from hepatica.workflows.plan_scene import read_plan
from hepatica.workflows.record_ports import RecordContext

DERIVED: Final = "derived"


def decide_plan(
    context: RecordContext,
    *,
    plan_id: str,
    decisions: Mapping[str, Sequence[Any]],
    expected_version: int,
    reason: str,
) -> Item:
    """Write what a person decided; each decision names something of the plan, or is refused.

    Parameters
    ----------
    context
        Who decides; needs ``plan.write`` at the patient's site.
    plan_id
        The plan.
    decisions
        ``chosen_punctures``: identifiers, one for a lesion; alternatives as ``P1a1``. ``dose_changes``: objects with
        ``lesion_id``, ``volume_ml`` and ``reason``. ``accepted_structures``: objects with ``structure`` and
        ``accepted_by``. Each replaces the list before.
    expected_version
        Version the person saw.
    reason
        Why.

    Raises
    ------
    NotFoundError
        If the plan is not there for him, or has no such puncture, lesion or derived structure.
    RecordInputError
        If two punctures are chosen for one lesion.
    """
    _, document = read_plan(context, plan_id)
    values: dict[str, JsonValue] = {}
    if "chosen_punctures" in decisions:
        values["chosen_punctures"] = _check_punctures(document, decisions["chosen_punctures"])
    if "dose_changes" in decisions:
        values["dose_changes"] = _check_doses(document, decisions["dose_changes"])
    if "accepted_structures" in decisions:
        values["accepted_structures"] = _check_structures(document, decisions["accepted_structures"])
    if not values:
        raise RecordInputError(expected="a decision", given="none", where=f"plan {plan_id}")
    with context.store.writing() as writer:
        return change_item(
            context,
            writer,
            kind="plan",
            item_id=plan_id,
            values=values,
            expected_version=expected_version,
            reason=reason,
        )


def list_punctures(document: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the lesions of every puncture that can be chosen, by its identifier.

    Parameters
    ----------
    document
        ``plan.json``.
    """
    found = {one["id"]: list(one["lesion_ids"]) for one in (*document["punctures"], *document["backups"])}
    for path in document["paths"]:
        first = path["best"] or path["lesion_id"]
        for number in range(1, len(path.get("alternatives", ())) + 1):
            found[f"{first}a{number}"] = [path["lesion_id"]]
    return found


def _check_punctures(document: Mapping[str, Any], chosen: Sequence[Any]) -> list[Any]:
    known = list_punctures(document)
    _require_known(chosen, known, what="puncture")
    served = [lesion_id for name in chosen for lesion_id in known[name]]
    if len(served) != len(set(served)):
        raise RecordInputError(
            expected="one puncture for a lesion",
            given="two",
            where="chosen punctures",
            action="choose one of them",
        )
    return list(chosen)


def _check_doses(document: Mapping[str, Any], changes: Sequence[Any]) -> list[Any]:
    planned = {one["lesion_id"]: one["volume_ml"] for one in document["injections"]}
    _require_known([change["lesion_id"] for change in changes], planned, what="injected lesion")
    return [{**change, "planned_ml": planned[change["lesion_id"]]} for change in changes]


def _check_structures(document: Mapping[str, Any], accepted: Sequence[Any]) -> list[Any]:
    derived = {one["kind"]: True for one in document["structures"] if one["origin"].startswith(DERIVED)}
    _require_known([one["structure"] for one in accepted], derived, what="derived structure")
    return list(accepted)


def _require_known(names: Sequence[Any], known: Mapping[str, Any], *, what: str) -> None:
    if any(name not in known for name in names):
        raise NotFoundError(
            expected=f"a {what} of the plan: {', '.join(known) or 'none'}", given="another", where="plan"
        )
