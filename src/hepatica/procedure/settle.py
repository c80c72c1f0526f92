"""Which entries hold once corrections are followed, and which contradict each other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from hepatica.core.errors import RecordInputError
from hepatica.core.findings import Finding, Severity
from hepatica.procedure.entry import VOID, Entry, sort_entries
from hepatica.procedure.entry_kind import read_entry_kinds

SOURCE = "rule of this program: both entries are kept until a person decides"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """Entries after corrections.

    Parameters
    ----------
    live
        Those that hold, by when they happened.
    replaced_by
        For each entry that no longer holds, the one that took its place or took it back.
    conflicts
        Contradictions that a person has to decide.
    """

    live: tuple[Entry, ...]
    replaced_by: Mapping[str, str]
    conflicts: tuple[Finding, ...]


def settle_entries(entries: Iterable[Entry]) -> Settled:
    """Follow corrections. The same entries in any order, or some of them twice, give the same.

    Of two corrections of one entry the later entered one holds, and both are shown as a conflict.

    Parameters
    ----------
    entries
        In any order.

    Raises
    ------
    RecordInputError
        If two different entries have one identifier, or a correction names no entry, or itself in a circle.
    """
    by_id = _index(entries)
    leaves: dict[str, list[Entry]] = {}
    corrected = {entry.supersedes for entry in by_id.values()}
    for entry in by_id.values():
        if entry.entry_id not in corrected:
            leaves.setdefault(_find_root(entry, by_id), []).append(entry)
    live: list[Entry] = []
    replaced: dict[str, str] = {}
    conflicts: list[Finding] = []
    holders = {
        root: max(found, key=lambda entry: (entry.entered_at, entry.entry_id))
        for root, found in leaves.items()
    }
    for root, found in sorted(leaves.items()):
        if len(found) > 1:
            names = ", ".join(sorted(entry.entry_id for entry in found))
            conflicts.append(_conflict(f"Several corrections of one entry: {names}.", subject=root))
        if holders[root].kind != VOID:
            live.append(holders[root])
    for entry in by_id.values():
        holder = holders[_find_root(entry, by_id)]
        if holder is not entry:
            replaced[entry.entry_id] = holder.entry_id
    ordered = sort_entries(tuple(live))
    conflicts += _find_contradictions(ordered)
    return Settled(
        live=ordered, replaced_by=MappingProxyType(dict(sorted(replaced.items()))), conflicts=tuple(conflicts)
    )


def _index(entries: Iterable[Entry]) -> dict[str, Entry]:
    by_id: dict[str, Entry] = {}
    for entry in entries:
        known = by_id.get(entry.entry_id)
        if known is not None and known.content != entry.content:
            raise RecordInputError(
                expected="an identifier of its own for each entry",
                given="two entries with one",
                where=f"entry {entry.entry_id}",
            )
        # Of two deliveries of one entry the first counts, whatever order they are given in.
        if known is None or (entry.entered_at, entry.author) < (known.entered_at, known.author):
            by_id[entry.entry_id] = entry
    return by_id


def _find_root(entry: Entry, by_id: Mapping[str, Entry]) -> str:
    seen = {entry.entry_id}
    while entry.supersedes:
        if entry.supersedes not in by_id or entry.supersedes in seen:
            raise RecordInputError(
                expected="the correction of another entry of this day",
                given="of none, or in a circle",
                where=f"entry {entry.entry_id}",
            )
        entry = by_id[entry.supersedes]
        seen.add(entry.entry_id)
    return entry.entry_id


def _find_contradictions(live: tuple[Entry, ...]) -> list[Finding]:
    """Find two entries of what is done once: two tablets may have entered the same."""
    kinds = read_entry_kinds()
    same: dict[tuple[object, ...], list[Entry]] = {}
    for entry in live:
        key = _find_place(entry, once=entry.kind in kinds and kinds[entry.kind].once)
        if key is not None:
            same.setdefault(key, []).append(entry)
    return [
        _conflict(
            f"{kinds[found[0].kind].label}: entered {len(found)} times "
            f"({', '.join(entry.entry_id for entry in found)}); correct all but one.",
            subject=found[0].entry_id,
        )
        for found in same.values()
        if len(found) > 1
    ]


def _find_place(entry: Entry, *, once: bool) -> tuple[object, ...] | None:
    if once:
        return (entry.kind,)
    match entry.kind:
        case "vial":
            return (entry.kind, entry.text("vial_id"))
        case "needle_in" | "needle_out":
            return (entry.kind, entry.text("needle_id"))
        case "deposit" if entry.whole("order") is not None:
            return (entry.kind, entry.text("needle_id"), entry.whole("track"), entry.whole("order"))
        case "deviation_reason":
            return (entry.kind, entry.text("deviation"))
    return None


def _conflict(message: str, *, subject: str) -> Finding:
    return Finding(
        rule="procedure.conflict", severity=Severity.ERROR, message=message, source=SOURCE, subject=subject
    )
