"""The state machine of iRECIST: unconfirmed and confirmed progression, reset and window.

Seymour 2017, Lancet Oncol 18:e143, table 2 (PMC5648544), with the clarifications of the EORTC RECIST group.
The machine looks at components only, so that records and hand-entered time points run through the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from functools import cache

from hepatica.core.evidence import EvidenceTable, read_evidence_table
from hepatica.followup.limits import is_at_least
from hepatica.followup.target import TABLES
from hepatica.followup.words import Growth, ImmuneResponse, NewLesion

I = ImmuneResponse  # noqa: E741  table cells read better short
_RANK = {I.ICR: 0, I.IPR: 1, I.ISD: 2, I.IUPD: 3}


class Cause(StrEnum):
    """A category that met progression."""

    TARGET = "target"
    NON_TARGET = "non-target"
    NEW = "new lesion"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmuneLimits:
    """Numbers and settings of iRECIST.

    Parameters
    ----------
    increase_mm
        Further increase of a sum that confirms.
    earliest_days, latest_days
        Window of a confirmation scan, days after the iUPD that is open.
    tolerance_days
        Days by which a scan may be early; 0 by default.
    new_ratio
        Growth of the new-target sum that starts a new iUPD after a reset.
    """

    increase_mm: float
    earliest_days: int
    latest_days: int
    tolerance_days: int
    new_ratio: float


@cache
def _read_packaged(*, tolerance: bool) -> ImmuneLimits:
    return _to_limits(read_evidence_table(TABLES, "irecist.toml"), tolerance=tolerance)


def _to_limits(table: EvidenceTable, *, tolerance: bool) -> ImmuneLimits:
    return ImmuneLimits(
        increase_mm=table["confirmation_increase"].number,
        earliest_days=int(table["confirmation_earliest"].number),
        latest_days=int(table["confirmation_latest"].number),
        tolerance_days=int(table["confirmation_tolerance"].number) if tolerance else 0,
        new_ratio=table["new_progression_ratio"].number,
    )


def read_immune_limits(*, early_tolerance: bool = False, table: EvidenceTable | None = None) -> ImmuneLimits:
    """Return the limits of iRECIST from evidence data.

    Parameters
    ----------
    early_tolerance
        Accept a confirmation scan two days before the window opens; off by default.
    table
        Table ``irecist.toml``, or a protocol's own.
    """
    return (
        _read_packaged(tolerance=early_tolerance)
        if table is None
        else _to_limits(table, tolerance=early_tolerance)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmuneFacts:
    """What the machine needs to know of one visit. A number that was not given is None and never confirms.

    Parameters
    ----------
    day
        Day of the visit, where it is known exactly.
    target, non_target
        Components; what meets RECIST 1.1 progression reads iUPD.
    new
        New lesions.
    target_sum_mm, new_target_sum_mm
        Sum of the targets, and of the measured new lesions, which is never added to it.
    partial_sum
        A target was missing: the sum may confirm, and is no reference for a later one.
    new_lesion_count
        How many unequivocal new lesions there have been.
    non_target_growth, new_non_target_growth
        Growth of non-targets, and of new lesions that are not measured, since the assessment before.
    symptom_driven
        Scan made early because of symptoms.
    """

    day: date | None = None
    target: ImmuneResponse
    non_target: ImmuneResponse
    new: NewLesion
    target_sum_mm: float | None = None
    new_target_sum_mm: float | None = None
    partial_sum: bool = False
    new_lesion_count: int | None = None
    non_target_growth: Growth = Growth.NONE
    new_non_target_growth: Growth = Growth.NONE
    symptom_driven: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmuneState:
    """What earlier visits left behind.

    Parameters
    ----------
    causes
        Categories that opened the present iUPD; empty where none is open.
    opened
        Day of the iUPD that opened the run, where known.
    target, target_sum_mm
        Target response and sum at that visit.
    new_seen
        New lesions of an earlier visit are still there.
    new_count, new_sum_mm, new_nadir_mm
        Their number and sum at the iUPD, and the smallest sum since; None where unknown.
    confirmed
        The progression was confirmed.
    """

    causes: frozenset[Cause] = field(default_factory=frozenset)
    opened: date | None = None
    target: ImmuneResponse = I.NONE
    target_sum_mm: float | None = None
    new_seen: bool = False
    new_count: int | None = None
    new_sum_mm: float | None = None
    new_nadir_mm: float | None = None
    confirmed: bool = False

    @property
    def open(self) -> bool:
        """Whether an iUPD waits for confirmation."""
        return bool(self.causes) and not self.confirmed


START = ImmuneState()


@dataclass(frozen=True, slots=True, kw_only=True)
class ImmuneAnswer:
    """The code of one visit.

    Parameters
    ----------
    response
        Overall iRECIST code.
    rule
        What decided.
    causes
        Categories that progress or confirm here.
    late_confirmation
        The confirming scan came after the window.
    set_aside
        The scan came before the window and counts for nothing.
    """

    response: ImmuneResponse
    rule: str
    causes: tuple[Cause, ...] = ()
    late_confirmation: bool = False
    set_aside: bool = False


def is_set_aside(facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits) -> bool:
    """Whether a scan comes too early to confirm or clear an open iUPD.

    A symptom-driven scan with a further new lesion counts at any time. Without whole dates nothing is set
    aside.
    """
    if not state.open or state.opened is None or facts.day is None:
        return False
    if facts.symptom_driven and _has_new_event(facts, state, limits):
        return False
    return (facts.day - state.opened).days < limits.earliest_days - limits.tolerance_days


def advance(
    facts: ImmuneFacts, state: ImmuneState = START, *, limits: ImmuneLimits | None = None
) -> tuple[ImmuneAnswer, ImmuneState]:
    """Judge one visit and hand on the state.

    Parameters
    ----------
    facts
        Components of the visit.
    state
        What earlier visits left.
    limits
        From `read_immune_limits`.

    Examples
    --------
    >>> facts = ImmuneFacts(target=I.IUPD, non_target=I.NONE, new=NewLesion.NO, target_sum_mm=60.0)
    >>> first, state = advance(facts)
    >>> second, _ = advance(replace(facts, target_sum_mm=65.0), state)
    >>> str(first.response), str(second.response)
    ('iUPD', 'iCPD')
    """
    limits = limits or read_immune_limits()
    if is_set_aside(facts, state, limits):
        answer = ImmuneAnswer(response=I.IUPD, rule="set-aside", causes=_sorted(state.causes), set_aside=True)
        return answer, state
    if state.confirmed:
        return _after_confirmation(facts, state, limits)
    if state.open:
        return _with_open(facts, state, limits)
    return _without_open(facts, state, limits)


def _sorted(causes: frozenset[Cause]) -> tuple[Cause, ...]:
    return tuple(cause for cause in Cause if cause in causes)


def _has_new_event(facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits) -> bool:
    """Whether new lesions progress by themselves: a first one, one more, or old ones in full progression."""
    if facts.new is not NewLesion.YES:
        return False
    if not state.new_seen or _grew_in_number(facts, state):
        return True
    if facts.new_non_target_growth is Growth.UNEQUIVOCAL:
        return True
    now, nadir = facts.new_target_sum_mm, state.new_nadir_mm
    if now is None or nadir is None or nadir <= 0:
        return False
    return is_at_least(now, limits.new_ratio * nadir) and is_at_least(now - nadir, limits.increase_mm)


def _grew_in_number(facts: ImmuneFacts, state: ImmuneState) -> bool:
    now, before = facts.new_lesion_count, state.new_count
    return now is not None and before is not None and now > before


def _rose(now: float | None, before: float | None, increase_mm: float) -> bool:
    return now is not None and before is not None and is_at_least(now - before, increase_mm)


def _progressing(facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits) -> frozenset[Cause]:
    causes = set()
    if facts.target is I.IUPD:
        causes.add(Cause.TARGET)
    if facts.non_target is I.IUPD:
        causes.add(Cause.NON_TARGET)
    if _has_new_event(facts, state, limits):
        causes.add(Cause.NEW)
    return frozenset(causes)


def _without_open(
    facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits
) -> tuple[ImmuneAnswer, ImmuneState]:
    causes = _progressing(facts, state, limits)
    if causes:
        answer = ImmuneAnswer(response=I.IUPD, rule="first-progression", causes=_sorted(causes))
        return answer, _open(facts, state, causes)
    response, rule = compose_immune(facts.target, facts.non_target, facts.new)
    return ImmuneAnswer(response=response, rule=rule), _follow_new(facts, state)


def _open(facts: ImmuneFacts, state: ImmuneState, causes: frozenset[Cause]) -> ImmuneState:
    return ImmuneState(
        causes=causes,
        opened=facts.day,
        target=facts.target,
        target_sum_mm=None if facts.partial_sum else facts.target_sum_mm,
        new_seen=facts.new is NewLesion.YES or (state.new_seen and facts.new is not NewLesion.NO),
        new_count=_newest(facts.new_lesion_count, state.new_count, present=facts.new is NewLesion.YES),
        new_sum_mm=facts.new_target_sum_mm,
        new_nadir_mm=facts.new_target_sum_mm if facts.new_target_sum_mm is not None else state.new_nadir_mm,
    )


def _newest(now: int | None, before: int | None, *, present: bool) -> int | None:
    if now is not None:
        return now
    # Nobody counts lesions that are not there: none before a first sighting is a count of 0.
    return before if present else before or 0


def _follow_new(facts: ImmuneFacts, state: ImmuneState) -> ImmuneState:
    """Keep track of new lesions while no iUPD is open."""
    if facts.new is NewLesion.NO:
        return replace(state, new_seen=False, new_count=facts.new_lesion_count or state.new_count)
    if facts.new is not NewLesion.YES:
        return state
    now = facts.new_target_sum_mm
    nadir = (
        now
        if state.new_nadir_mm is None
        else min(state.new_nadir_mm, now if now is not None else state.new_nadir_mm)
    )
    count = facts.new_lesion_count if facts.new_lesion_count is not None else state.new_count
    return replace(state, new_seen=True, new_count=count, new_nadir_mm=nadir)


def _with_open(
    facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits
) -> tuple[ImmuneAnswer, ImmuneState]:
    confirming, rule = _find_confirmation(facts, state, limits)
    if confirming:
        late = (
            facts.day is not None
            and state.opened is not None
            and (facts.day - state.opened).days > limits.latest_days
        )
        answer = ImmuneAnswer(response=I.ICPD, rule=rule, causes=_sorted(confirming), late_confirmation=late)
        return answer, replace(state, confirmed=True, causes=state.causes | confirming)
    reset = _find_reset(facts, state)
    if reset:
        response, _ = compose_immune(facts.target, facts.non_target, facts.new)
        cleared = ImmuneState(
            new_seen=state.new_seen, new_count=state.new_count, new_nadir_mm=state.new_nadir_mm
        )
        return ImmuneAnswer(response=response, rule=reset), _follow_new(facts, cleared)
    if _is_unknown(facts, state):
        return ImmuneAnswer(response=I.NE, rule="not-evaluable", causes=_sorted(state.causes)), state
    return ImmuneAnswer(response=I.IUPD, rule="unchanged", causes=_sorted(state.causes)), _fill_in(
        facts, state
    )


def _fill_in(facts: ImmuneFacts, state: ImmuneState) -> ImmuneState:
    """Take references that the opening visit lacked from the first visit that has them."""
    now = facts.new_target_sum_mm
    return replace(
        state,
        target_sum_mm=facts.target_sum_mm
        if state.target_sum_mm is None and not facts.partial_sum
        else state.target_sum_mm,
        new_sum_mm=now if state.new_sum_mm is None else state.new_sum_mm,
        new_count=facts.new_lesion_count if state.new_count is None else state.new_count,
        new_nadir_mm=min((v for v in (now, state.new_nadir_mm) if v is not None), default=None),
    )


def _find_confirmation(
    facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits
) -> tuple[frozenset[Cause], str]:
    grown = set()
    if Cause.TARGET in state.causes and _rose(facts.target_sum_mm, state.target_sum_mm, limits.increase_mm):
        grown.add(Cause.TARGET)
    if Cause.NON_TARGET in state.causes and facts.non_target_growth is not Growth.NONE:
        grown.add(Cause.NON_TARGET)
    if Cause.NEW in state.causes and facts.new is NewLesion.YES and _new_grew(facts, state, limits):
        grown.add(Cause.NEW)
    if grown:
        return frozenset(grown), "further-growth"
    others = _progressing(facts, state, limits) - state.causes
    return others, "another-category"


def _new_grew(facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits) -> bool:
    return (
        _grew_in_number(facts, state)
        or _rose(facts.new_target_sum_mm, state.new_sum_mm, limits.increase_mm)
        or facts.new_non_target_growth is not Growth.NONE
    )


def _find_reset(facts: ImmuneFacts, state: ImmuneState) -> str:
    """Return why an open iUPD is cleared; empty where it is not."""
    if I.IUPD in (facts.target, facts.non_target):
        return ""
    if I.NE in (facts.target, facts.non_target) or facts.new is NewLesion.NOT_EVALUABLE:
        return ""
    if facts.new is NewLesion.NO:
        return "reset-nothing-progresses"
    if Cause.NON_TARGET in state.causes:
        return "reset-non-targets-regressed"
    if _RANK.get(facts.target, 9) < _RANK.get(state.target, -1):
        return "reset-targets-better"
    return ""


def _is_unknown(facts: ImmuneFacts, state: ImmuneState) -> bool:
    if I.IUPD in (facts.target, facts.non_target):
        return False
    if facts.new is NewLesion.YES and Cause.NEW in state.causes:
        return False
    return I.NE in (facts.target, facts.non_target) or facts.new is NewLesion.NOT_EVALUABLE


def _after_confirmation(
    facts: ImmuneFacts, state: ImmuneState, limits: ImmuneLimits
) -> tuple[ImmuneAnswer, ImmuneState]:
    if _find_reset(facts, state):
        cleared = ImmuneState(
            new_seen=state.new_seen, new_count=state.new_count, new_nadir_mm=state.new_nadir_mm
        )
        return _without_open(facts, cleared, limits)
    if _is_unknown(facts, state):
        return ImmuneAnswer(response=I.NE, rule="not-evaluable"), state
    return ImmuneAnswer(response=I.ICPD, rule="confirmed-before", causes=_sorted(state.causes)), state


def compose_immune(
    target: ImmuneResponse, non_target: ImmuneResponse, new: NewLesion
) -> tuple[ImmuneResponse, str]:
    """Join components none of which progresses (anew): the table with targets, or without.

    New lesions that are still there bar iCR only.

    Examples
    --------
    >>> [str(compose_immune(I.ICR, I.ICR, new)[0]) for new in (NewLesion.NO, NewLesion.YES)]
    ['iCR', 'iPR']
    """
    if target is I.NONE and non_target is I.NONE:
        return I.NE, "no-disease-recorded"
    if new is NewLesion.NOT_EVALUABLE:
        return I.NE, "new-lesions-not-evaluable"
    if target is I.NONE:
        if non_target is I.ICR and new is NewLesion.YES:
            return I.NON_ICR_NON_IUPD, "new-lesion-left"
        return non_target, "table-without-targets"
    if target is I.ICR and (non_target not in (I.ICR, I.NONE) or new is NewLesion.YES):
        return I.IPR, "table-icr-with-disease-left"
    return target, "table"
