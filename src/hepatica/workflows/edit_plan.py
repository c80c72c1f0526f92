"""Change what a plan of the record asks of the day: the dose of a lesion, a backup instead of the first choice."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hepatica.core.errors import ConflictError, RecordInputError
from hepatica.record.event import JsonValue
from hepatica.record.item import Item
from hepatica.workflows.change_item import change_item, require_item
from hepatica.workflows.record_ports import RecordContext, RecordWriter
from hepatica.workflows.record_procedure import has_begun, read_planned

OF_THE_DAY: Final = frozenset({"dose_changes", "chosen_punctures"})
"""What the day is held against; it stays once the day has begun."""


def edit_plan(
    context: RecordContext,
    writer: RecordWriter,
    *,
    plan_id: str,
    expected_version: int,
    values: Mapping[str, JsonValue],
    reason: str,
) -> Item:
    """Change a plan before its day. The planner's documents stay as they are; the day is held against the change.

    Parameters
    ----------
    context, writer
        Who changes, with the right ``plan.write``; the change in the making.
    plan_id, expected_version
        The plan as it was seen.
    values
        ``dose_changes``, ``chosen_punctures`` and ``accepted_structures``; a list that is not named stays, None or an
        empty one takes back.
    reason
        Why.

    Raises
    ------
    ConflictError
        If its day has begun: what was done is held against what was asked then.
    RecordInputError
        If the plan cannot be carried out so.
    """
    plan = require_item(writer, kind="plan", item_id=plan_id)
    if set(values) - {*OF_THE_DAY, "accepted_structures"}:
        raise RecordInputError(
            expected="dose_changes, chosen_punctures or accepted_structures", given="others", where="plan"
        )
    asked = {name: value or None for name, value in values.items()}
    if OF_THE_DAY & set(asked) and has_begun(writer, plan):
        raise ConflictError(
            expected="a plan whose day has not begun",
            given="one with a procedure",
            where=f"plan {plan_id}",
            action="enter what was done otherwise as a deviation with its reason",
        )
    changed = change_item(
        context,
        writer,
        kind="plan",
        item_id=plan_id,
        values=asked,
        expected_version=expected_version,
        reason=reason,
    )
    # Refuses what cannot be carried out, before anything is kept.
    read_planned(context, changed)
    return changed
