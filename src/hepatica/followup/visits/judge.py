"""How one visit stands: planned, due, overdue, missed, done, or done out of its window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from hepatica.followup.visits.history import EventStatus, VisitEvent
from hepatica.followup.visits.schedule import VisitRule
from hepatica.followup.visits.spans import DaySpan
from hepatica.followup.visits.visit import VisitState

NO_WINDOW = "the window is not set: nobody can say when it is late"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One place in a series.

    Parameters
    ----------
    rule, number
        Series and place in it, from 1.
    due
        Planned day or days; None where it cannot be told.
    why
        How the planned day came about, or why it cannot be told.
    projected
        Whether an earlier visit that the day rests on is still open.
    event
        What is recorded: done or missed; None for neither.
    booked
        Day of an appointment.
    overtaken
        Why its turn is over though nothing is recorded; empty while it is not.
    """

    rule: VisitRule
    number: int
    due: DaySpan | None
    why: str
    projected: bool = False
    event: VisitEvent | None = None
    booked: date | None = None
    overtaken: str = ""

    @property
    def opens(self) -> date | None:
        """First day of the window; of the earliest planned day where that is uncertain."""
        window = self.rule.window
        return None if self.due is None or window is None else window[0].before(self.due.first)

    @property
    def closes(self) -> date | None:
        """Last day of the window; of the latest planned day where that is uncertain."""
        window = self.rule.window
        return None if self.due is None or window is None else window[1].after(self.due.last)


def judge_visit(slot: Slot, *, as_of: date) -> tuple[VisitState, str]:
    """Return the state of a visit on a day, and the reason in words."""
    if slot.event is not None:
        if slot.event.status is EventStatus.MISSED:
            return VisitState.MISSED, "recorded as missed"
        return _judge_done(slot, slot.event)
    if slot.overtaken:
        return VisitState.MISSED, slot.overtaken
    return _judge_open(slot, as_of=as_of)


def _judge_done(slot: Slot, event: VisitEvent) -> tuple[VisitState, str]:
    on = DaySpan.from_partial(event.on)
    if slot.due is None:
        return VisitState.DONE, f"done; {slot.why}"
    if on is None:
        return VisitState.DONE, "done on a day that is not known: the window cannot be judged"
    window = slot.rule.window
    off = _describe_distance(on, slot.due)
    if window is None:
        return VisitState.DONE, f"{off}; the window is not set: it cannot be judged"
    # The narrowest and the widest window an uncertain planned day allows.
    surely_from, surely_to = window[0].before(slot.due.last), window[1].after(slot.due.first)
    if on.first >= surely_from and on.last <= surely_to:
        return VisitState.DONE, f"{off}, in the window"
    perhaps_from, perhaps_to = slot.opens, slot.closes
    assert perhaps_from is not None and perhaps_to is not None
    if on.last < perhaps_from or on.first > perhaps_to:
        return (
            VisitState.OUT_OF_WINDOW,
            f"{off}, window {perhaps_from.isoformat()} to {perhaps_to.isoformat()}",
        )
    return VisitState.DONE, "done; dates known in part only: the window cannot be judged"


def _describe_distance(on: DaySpan, due: DaySpan) -> str:
    if not (on.exact and due.exact):
        return "done"
    days = (on.first - due.first).days
    if days == 0:
        return "done on the planned day"
    unit = "day" if abs(days) == 1 else "days"
    return f"done {abs(days)} {unit} {'late' if days > 0 else 'early'}"


def _judge_open(slot: Slot, *, as_of: date) -> tuple[VisitState, str]:
    if slot.due is None:
        return VisitState.PLANNED, slot.why
    if slot.projected:
        # Its day moves with the one before it, so it cannot be late yet.
        return VisitState.PLANNED, slot.why
    if slot.rule.window is None:
        if as_of < slot.due.first:
            return VisitState.PLANNED, f"{slot.why}; {NO_WINDOW}"
        return VisitState.DUE, f"planned day reached; {NO_WINDOW}"
    opens, closes = slot.opens, slot.closes
    assert opens is not None and closes is not None
    if as_of < opens:
        return VisitState.PLANNED, f"{slot.why}; window opens {opens.isoformat()}"
    if as_of <= closes:
        return VisitState.DUE, f"{slot.why}; window closes {closes.isoformat()}"
    days = (as_of - closes).days
    return (
        VisitState.OVERDUE,
        f"{slot.why}; window closed {closes.isoformat()}, {days} day{'s' if days > 1 else ''} ago",
    )
