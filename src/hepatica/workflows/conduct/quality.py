"""What is still open in the data: queries by age, values nobody verified, what is not locked or signed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hepatica.record.event import Action
from hepatica.record.item import Item
from hepatica.record.verification import VerificationState, assess_verification
from hepatica.workflows.follow.protocol import list_all
from hepatica.workflows.record_ports import ItemFilter, RecordContext, RecordReader

CHECKED_KINDS: Final = ("consent", "visit", "adverse_event", "procedure")
"""Kinds whose values a monitor holds against the source."""
AGES_DAYS: Final = (7, 14, 30)
"""Edges of the ages of queries; older ones stand in the last group."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryAges:
    """Queries of one site that are not closed.

    Parameters
    ----------
    site_id
        The site.
    open_by_age
        Open ones, by age: up to each of `AGES_DAYS`, then older.
    answered
        Answered ones that wait to be closed.
    oldest_days
        Age of the oldest open one; None where none is open.
    """

    site_id: str
    open_by_age: tuple[int, ...]
    answered: int
    oldest_days: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCount:
    """Items of one kind at one site.

    Parameters
    ----------
    site_id, kind
        Which.
    items
        How many there are.
    verified
        Of them, how many have verified values that still stand.
    changed
        How many were verified and have others there now.
    """

    site_id: str
    kind: str
    items: int
    verified: int
    changed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEnds:
    """What is not locked or signed at one site.

    Parameters
    ----------
    site_id
        The site.
    reads_open
        Reads that are not locked.
    reads_unsigned
        Locked reads without a signature that holds.
    patients_unlocked
        Patients whose follow-up is over and who are not locked.
    patients_unsigned
        Locked patients without a signature that holds.
    """

    site_id: str
    reads_open: int
    reads_unsigned: int
    patients_unlocked: int
    patients_unsigned: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DataQuality:
    """All of it, at the sites that the person may see.

    Parameters
    ----------
    queries, sources, ends
        By site.
    """

    queries: tuple[QueryAges, ...]
    sources: tuple[SourceCount, ...]
    ends: tuple[OpenEnds, ...]


def measure_quality(context: RecordContext) -> DataQuality:
    """Count what is still open in the data.

    Parameters
    ----------
    context
        Who asks; needs the rights to read queries, verifications, signatures, reads, patients and what is verified.
    """
    marks: defaultdict[tuple[object, object], list[Item]] = defaultdict(list)
    for mark in list_all(context, ItemFilter(kind="verification")):
        marks[mark.values["about_kind"], mark.values["about_item_id"]].append(mark)
    signed: set[tuple[object, object, object]] = {
        (mark.values["signed_kind"], mark.values["signed_item_id"], mark.values["signed_digest"])
        for mark in list_all(context, ItemFilter(kind="signature"))
    }
    return DataQuality(
        queries=_age_queries(context),
        sources=tuple(count for kind in CHECKED_KINDS for count in _count_sources(context, kind, marks)),
        ends=_count_ends(context, signed),
    )


def _age_queries(context: RecordContext) -> tuple[QueryAges, ...]:
    found = [
        query for query in list_all(context, ItemFilter(kind="query")) if query.values["state"] != "closed"
    ]
    asked = _find_asked(context) if found else {}
    now = context.now_utc()
    ages: dict[str, list[int]] = defaultdict(list)
    answered: Counter[str] = Counter()
    for query in found:
        if query.values["state"] == "answered":
            answered[query.site_id] += 1
        else:
            ages[query.site_id].append(max(0, (now - asked.get(query.item_id, now)).days))
    return tuple(
        QueryAges(
            site_id=site,
            open_by_age=_to_groups(ages[site]),
            answered=answered[site],
            oldest_days=max(ages[site], default=None),
        )
        for site in sorted({*ages, *answered})
    )


def _find_asked(context: RecordContext) -> Mapping[str, datetime]:
    """Return when each query was asked last: made, or reopened."""
    found: dict[str, datetime] = {}
    with context.store.reading() as reader:
        for event in reader.read_events(kind="query"):
            reopened = any(change.field == "state" and change.new == "open" for change in event.changes)
            if event.action is Action.CREATE or reopened:
                found[event.item_id] = event.time_utc
    return found


def _to_groups(ages: Sequence[int]) -> tuple[int, ...]:
    edges = (-1, *AGES_DAYS)
    groups = [sum(low < age <= high for age in ages) for low, high in zip(edges, AGES_DAYS, strict=False)]
    return (*groups, sum(age > AGES_DAYS[-1] for age in ages))


def _count_sources(
    context: RecordContext, kind: str, marks: Mapping[tuple[object, object], Sequence[Item]]
) -> list[SourceCount]:
    by_site: dict[str, Counter[str]] = defaultdict(Counter)
    items = list(list_all(context, ItemFilter(kind=kind)))
    with context.store.reading() as reader:
        for item in items:
            own = marks.get((kind, item.item_id), ())
            by_site[item.site_id]["items"] += 1
            if own:
                by_site[item.site_id]["verified" if _holds(reader, item, own) else "changed"] += 1
    return [
        SourceCount(
            site_id=site,
            kind=kind,
            items=counts["items"],
            verified=counts["verified"],
            changed=counts["changed"],
        )
        for site, counts in sorted(by_site.items())
    ]


def _holds(reader: RecordReader, item: Item, marks: Sequence[Item]) -> bool:
    if any(mark.values["about_digest"] == item.digest for mark in marks):
        return True
    events = tuple(reader.read_events(kind=item.kind, item_id=item.item_id))
    found = (assess_verification(mark, item, events) for mark in marks)
    return any(answer.state is VerificationState.HOLDS for answer in found)


def _count_ends(context: RecordContext, signed: set[tuple[object, object, object]]) -> tuple[OpenEnds, ...]:
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for read in list_all(context, ItemFilter(kind="read")):
        is_locked = read.values["state"] == "locked"
        is_signed = ("read", read.item_id, read.digest) in signed
        counts[read.site_id]["reads_open"] += not is_locked
        counts[read.site_id]["reads_unsigned"] += is_locked and not is_signed
    for patient in list_all(context, ItemFilter(kind="patient")):
        is_over = patient.values["status"] in ("completed", "withdrawn")
        is_signed = ("patient", patient.item_id, patient.digest) in signed
        counts[patient.site_id]["patients_unlocked"] += is_over and not patient.locked
        counts[patient.site_id]["patients_unsigned"] += patient.locked and not is_signed
    return tuple(
        OpenEnds(
            site_id=site,
            reads_open=found["reads_open"],
            reads_unsigned=found["reads_unsigned"],
            patients_unlocked=found["patients_unlocked"],
            patients_unsigned=found["patients_unsigned"],
        )
        for site, found in sorted(counts.items())
    )
