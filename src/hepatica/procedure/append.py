"""Add entries to a day: each once, corrections with reasons, nothing but corrections once it is over."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hepatica.core.errors import ConflictError, LockedError, RecordInputError
from hepatica.procedure.entry import VOID, Entry, require_entry
from hepatica.procedure.entry_kind import read_entry_kinds
from hepatica.procedure.planned import PlannedDay
from hepatica.procedure.settings import DaySettings
from hepatica.procedure.state import derive_day

ENTRIES_MAX = 5000
"""A day has some hundred entries; more is another thing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of new entries.

    Parameters
    ----------
    entries
        All entries of the day, in the order in which they arrived.
    added, repeated
        Identifiers of those that are new, and of those that had arrived before.
    """

    entries: tuple[Entry, ...]
    added: tuple[str, ...]
    repeated: tuple[str, ...]


def append_entries(
    entries: Sequence[Entry],
    new: Iterable[Entry],
    *,
    planned: PlannedDay,
    settings: DaySettings | None = None,
) -> Appended:
    """Add entries; one that arrived before is not added again.

    Parameters
    ----------
    entries
        The day so far.
    new
        What arrives, in any order.
    planned, settings
        As in `derive_day`.

    Raises
    ------
    RecordInputError
        If a field is wrong, or a correction names no entry of the day.
    ConflictError
        If another entry has its identifier, or the day is closed while something is open.
    LockedError
        If the day is over and it is no correction.
    """
    held = {entry.entry_id: entry for entry in entries}
    added: list[Entry] = []
    repeated: list[str] = []
    for entry in sorted(new, key=_place):
        known = held.get(entry.entry_id)
        if known is None:
            require_entry(entry)
            _require_target(entry, held)
            held[entry.entry_id] = entry
            added.append(entry)
        elif known.content == entry.content:
            repeated.append(entry.entry_id)
        else:
            raise ConflictError(
                expected="an identifier of its own for each entry",
                given="that of another entry",
                where=f"entry {entry.entry_id}",
                action="enter it again under a new identifier",
            )
    if len(held) > ENTRIES_MAX:
        raise RecordInputError(
            expected=f"at most {ENTRIES_MAX} entries", given=f"{len(held)}", where="entries"
        )
    _require_open(entries, added, planned=planned, settings=settings)
    _require_closable(entries, added, planned=planned, settings=settings)
    return Appended(
        entries=(*entries, *added), added=tuple(entry.entry_id for entry in added), repeated=tuple(repeated)
    )


def _place(entry: Entry) -> tuple[int, object, int, str]:
    """Corrections after what they correct; a closing after everything that comes with it."""
    kind = read_entry_kinds().get(entry.kind)
    return (1 if entry.supersedes else 0, entry.entered_at, kind.rank if kind else 0, entry.entry_id)


def _require_target(entry: Entry, held: dict[str, Entry]) -> None:
    """Refuse a correction of nothing, and one of another kind: it would be a new fact in disguise."""
    target = held.get(entry.supersedes)
    if target is not None:
        while target.supersedes:
            target = held[target.supersedes]
        if entry.kind not in (target.kind, VOID):
            raise RecordInputError(
                expected=f"a correction of kind {target.kind} or {VOID}",
                given="another kind",
                where=f"entry {entry.entry_id}",
            )
    elif entry.supersedes:
        raise RecordInputError(
            expected="the correction of an entry of this day",
            given="of another",
            where=f"entry {entry.entry_id}",
            action="send the entry first",
        )


def _require_open(
    entries: Sequence[Entry], added: Sequence[Entry], *, planned: PlannedDay, settings: DaySettings | None
) -> None:
    plain = [entry for entry in added if not entry.supersedes]
    if plain and derive_day(entries, planned, settings=settings).phase.is_over:
        raise LockedError(
            expected="corrections only: the day is over",
            given=f"{len(plain)} new entries",
            where=f"entry {plain[0].entry_id}",
            action="take the closing back with a reason, enter what is missing, close again",
        )


def _require_closable(
    entries: Sequence[Entry], added: Sequence[Entry], *, planned: PlannedDay, settings: DaySettings | None
) -> None:
    closing = [entry for entry in added if entry.kind in ("close", "cancel")]
    if not closing:
        return
    rest = [*entries, *(entry for entry in added if entry not in closing)]
    for entry in closing:
        # A corrected closing is judged as if the one before had been taken back.
        taken_back = [replace(entry, kind=VOID, values={})] if entry.supersedes else []
        day = derive_day([*rest, *taken_back], planned, settings=settings)
        answer = day.may(entry.kind)
        if not answer.allowed:
            raise ConflictError(
                expected="a day on which nothing is open",
                given="; ".join(answer.reasons),
                where=f"entry {entry.entry_id}",
                action="enter what is missing first",
            )
        if day.last_at is not None and entry.occurred_at < day.last_at:
            raise ConflictError(
                expected="a closing after everything else that happened",
                given="one before the last entry",
                where=f"entry {entry.entry_id}",
                action="correct the times",
            )
