"""How the trial stands: next dose, cohort and slots at once; response and survival from a process of their own."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query

from hepatica.bootstrap import answer_standing_apart, derive_trial_outcomes_apart
from hepatica.entrypoints.web.apart import run_apart
from hepatica.entrypoints.web.depends import Context, State
from hepatica.entrypoints.web.rights import needs
from hepatica.entrypoints.web.scan_routes import ScanHome, find_place
from hepatica.entrypoints.web.trial_models import OutcomesAnswer, StandingAnswer
from hepatica.record.people import require_right
from hepatica.workflows.conduct.answer import to_standing_document
from hepatica.workflows.conduct.design import EscalationPlan
from hepatica.workflows.conduct.standing import RIGHT, derive_standing, read_plan
from hepatica.workflows.record_ports import RecordContext

router = APIRouter(prefix="/api", tags=["Trial"])
KEPT_MOST: Final = 24
"""Answers that are kept: one for each set of sites, criterion and rules in use."""
Key = tuple[Any, ...]


@dataclass(eq=False)
class KeptAnswers:
    """Answers that hold as long as the record does not change; one question is worked on once at a time."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    kept: OrderedDict[Key, dict[str, Any]] = field(default_factory=OrderedDict)
    turns: dict[Key, threading.Lock] = field(default_factory=dict)

    def find(self, key: Key) -> dict[str, Any] | None:
        """Return a kept answer, or None."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
            return self.kept.get(key)

    def keep(self, key: Key, answer: dict[str, Any]) -> None:
        """Keep an answer, and forget the oldest beyond the most."""
        with self.lock:
            self.kept[key] = answer
            while len(self.kept) > KEPT_MOST:
                self.kept.popitem(last=False)
            self.turns.pop(key, None)

    def turn(self, key: Key) -> threading.Lock:
        """Return what those who ask the same wait for."""
        with self.lock:
            return self.turns.setdefault(key, threading.Lock())


@router.get("/trial", response_model=StandingAnswer, openapi_extra=needs(RIGHT))
def read_standing(context: Context, state: State) -> Any:
    """Return the cohort by dose level, its slots and the next dose with its reason, by the protocol's own design."""
    require_right(context.actor, RIGHT)
    plan = read_plan(context)
    if isinstance(plan, EscalationPlan) and plan.computes_apart:
        place = find_place(state)
        return run_apart(
            answer_standing_apart, str(place.home), place.database, context.actor, context.request_id
        )
    return to_standing_document(derive_standing(context), context)


@router.get("/trial/outcomes", response_model=OutcomesAnswer, openapi_extra=needs(RIGHT))
def read_outcomes(
    context: Context,
    state: State,
    criterion: Annotated[Literal["recist-1.1", "mrecist"], Query()] = "recist-1.1",
    rules: Annotated[Literal["itt", "fda-2007"], Query()] = "itt",
) -> Any:
    """Return response, waterfall and Kaplan-Meier curves of the patients at one's sites, as the report derives them."""
    require_right(context.actor, RIGHT)
    place = find_place(state)
    kept = _find_kept(state)
    with context.store.reading() as reader:
        number = reader.count_events()
    key = (
        tuple(sorted(context.actor.site_ids)),
        criterion,
        rules,
        number,
        context.now_utc().date().isoformat(),
    )
    answer = kept.find(key)
    if answer is None:
        with kept.turn(key):
            answer = kept.find(key) or _derive(context, place, {"criterion": criterion, "rules": rules})
            kept.keep(key, answer)
    return answer


def _derive(context: RecordContext, place: ScanHome, asked: dict[str, str]) -> dict[str, Any]:
    found = run_apart(
        derive_trial_outcomes_apart,
        str(place.home),
        place.database,
        context.actor,
        context.request_id,
        asked,
    )
    return {**found, "made_at": context.now_utc().isoformat(timespec="seconds")}


def _find_kept(state: Any) -> KeptAnswers:
    kept = getattr(state, "trial_answers", None)
    if kept is None:
        kept = state.trial_answers = KeptAnswers()
    return kept
