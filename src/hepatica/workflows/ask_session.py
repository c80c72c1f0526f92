"""Questions to an open plan and its answers, as they go between the server and the process that computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Protocol

from hepatica.core.errors import CancelledError, HepaticaError, InputError
from hepatica.core.progress import Progress


class OpenPlan(Protocol):
    """A plan opened for questions; `hepatica.workflows.plan_session.PlanSession` is one."""

    @property
    def opened(self) -> Any:
        """The plan as it was written, with case and scene."""

    def change_limits(self, values: Mapping[str, float]) -> None:
        """Set path limits by name for the questions to come; all others are as in the plan."""

    def change_protocol(self, protocol: Any, *, visit: int | None = None) -> None:
        """Use another dose protocol or visit for the questions to come."""

    def replan(self, *, progress: Progress) -> Any:
        """Plan again under the present limits and protocol."""

    def check_path(self, *, lesion_id: str, entry_lps_mm: Any, tip_lps_mm: Any, volume_ml: float) -> Any:
        """Measure and judge one path that somebody chose."""


class Replaced:
    """A progress that ends the work as soon as a later question waits.

    Parameters
    ----------
    is_replaced
        Whether one waits.
    """

    def __init__(self, is_replaced: Callable[[], bool]) -> None:
        self._is_replaced = is_replaced

    def stage(self, name: str) -> None:
        """Look."""
        self.check_cancelled()

    def advance(self, fraction: float) -> None:
        """Look."""
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Raise `CancelledError` if a later question waits."""
        if self._is_replaced():
            raise CancelledError(where="plan session")


def answer_question(
    session: OpenPlan, question: Mapping[str, Any], *, is_replaced: Callable[[], bool] = lambda: False
) -> dict[str, Any]:
    """Answer one question; a refusal is an answer too.

    Every question names all limits that differ from the plan's, so that a session that was rebuilt answers alike.

    Parameters
    ----------
    session
        The open plan.
    question
        ``ask`` is ``path``, ``replan`` or ``skin``.
    is_replaced
        Whether a later question makes this one idle.
    """
    try:
        if question["ask"] == "skin":
            return {"answer": _map_skin(session, question, Replaced(is_replaced))}
        session.change_limits(question["limits"])
        if question["ask"] == "path":
            return {"answer": _check_path(session, question)}
        return {"answer": _replan(session, question, Replaced(is_replaced))}
    except CancelledError:
        return {"stale": True}
    except HepaticaError as problem:
        return {"error": problem.to_dict()}


def _check_path(session: OpenPlan, question: Mapping[str, Any]) -> dict[str, Any]:
    from hepatica.workflows.document_values import to_finding_rows, to_number
    from hepatica.workflows.plan_document import to_puncture_document

    checked = session.check_path(
        lesion_id=question["lesion_id"],
        entry_lps_mm=question["entry_lps_mm"],
        tip_lps_mm=question["tip_lps_mm"],
        volume_ml=question["volume_ml"],
    )
    return {
        "puncture": to_puncture_document(checked.puncture),
        "undelivered_ml": to_number(checked.undelivered_ml),
        "findings": to_finding_rows(checked.findings),
    }


def _map_skin(session: OpenPlan, question: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    from hepatica.planning.path.skin_map import derive_skin_map
    from hepatica.workflows.skin_document import list_plan_tips, to_skin_document

    opened, lesion_id = session.opened, question["lesion_id"]
    tips = list_plan_tips(opened.document, lesion_id)
    # Of the plan as it was made: limits that somebody tries do not change it.
    found = derive_skin_map(
        opened.prepared.scene, lesion_id=lesion_id, also_tips_lps_mm=tips, progress=progress
    )
    return to_skin_document(found, plan_id=str(opened.document["plan_id"]))


def _replan(session: OpenPlan, question: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    from hepatica.planning.dose.protocol import read_protocol
    from hepatica.workflows.plan_document import to_plan_document

    opened = session.opened
    protocol = read_protocol(question["protocol"]) if question["protocol"] else opened.case.protocol
    visit = question["visit"] or opened.case.request.visit
    protocol.require_set(visit)
    session.change_protocol(protocol, visit=visit)
    planned = session.replan(progress=progress).planned
    return to_plan_document(
        planned.plan,
        manifest=_to_manifest(opened.manifest),
        anatomy=planned.anatomy,
        image_facts=opened.case.image.facts,
        prior_tracking_uids=planned.prior_tracking_uids,
    )


def _to_manifest(document: Mapping[str, Any]) -> Any:
    from hepatica.core.provenance import Manifest

    names = (
        "command",
        "code_version",
        "inputs",
        "sources",
        "parameters",
        "tables",
        "libraries",
        "seed",
        "outputs",
    )
    try:
        return Manifest(
            run_time=datetime.fromisoformat(document["run_time"]), **{name: document[name] for name in names}
        )
    except (KeyError, TypeError, ValueError) as problem:
        raise InputError(
            expected="the manifest of a plan", given="another document", where="plan"
        ) from problem
