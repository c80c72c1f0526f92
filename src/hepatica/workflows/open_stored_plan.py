"""Rebuild a plan session from the record."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from hepatica.workflows.account_entry import to_actor
from hepatica.workflows.ask_session import OpenPlan
from hepatica.workflows.change_item import require_item
from hepatica.workflows.lay_out_plan import lay_out_stored_plan
from hepatica.workflows.read_items import read_item
from hepatica.workflows.record_ports import RecordContext

if TYPE_CHECKING:
    from hepatica.workflows.plan_ports import PlanPorts


def open_stored_plan(
    record: RecordContext, *, plan_id: str, account_id: str, folder: Path, ports: PlanPorts
) -> OpenPlan:
    """Open a plan of the record for questions, as a person who may see it.

    Parameters
    ----------
    record
        The program itself.
    plan_id
        The plan.
    account_id
        The person.
    folder
        Private folder to lay it out in.
    ports
        The planner's.

    Raises
    ------
    HepaticaError
        If the person may not see it, or a file has changed.
    """
    # Loaded here: it brings the numerical libraries, which the web process does without.
    from hepatica.workflows.plan_session import open_plan_session

    with record.store.reading() as reader:
        actor = to_actor(require_item(reader, kind="account", item_id=account_id))
    context = replace(record, actor=actor)
    plan = read_item(context, kind="plan", item_id=plan_id)
    laid = lay_out_stored_plan(context, plan, folder / "plan")
    return open_plan_session(laid, ports=ports)
