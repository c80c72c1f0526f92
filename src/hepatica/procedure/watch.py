"""Sedation: whether the patient was watched as often as the site has set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.core.findings import Finding, Severity
from hepatica.procedure.entry import Entry
from hepatica.procedure.settings import DaySettings

SECONDS_PER_MIN = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SedationSpan:
    """One sedation.

    Parameters
    ----------
    start, end
        From when to when; the end is None while it lasts.
    limit
        Longest time without vital signs.
    signs
        When vital signs were recorded in it.
    """

    start: datetime
    end: datetime | None
    limit: Evidence
    signs: tuple[datetime, ...]

    def list_gaps(self, *, as_of: datetime) -> Iterator[tuple[datetime, float]]:
        """Yield the beginning and the minutes of each time without vital signs that is too long."""
        last = self.start
        until = self.end if self.end is not None else max(as_of, self.start)
        for moment in (*self.signs, until):
            gap_min = (moment - last).total_seconds() / SECONDS_PER_MIN
            if gap_min > self.limit.number:
                yield last, gap_min
            last = moment


def derive_sedation(live: Sequence[Entry], *, settings: DaySettings) -> tuple[SedationSpan, ...]:
    """Find each sedation with the vital signs recorded in it.

    Parameters
    ----------
    live
        Entries that hold, by when they happened.
    settings
        The interval that counts where the entry sets none.
    """
    spans: list[SedationSpan] = []
    start: Entry | None = None
    for entry in live:
        if entry.kind == "sedation_start" and start is None:
            start = entry
        elif entry.kind == "sedation_stop" and start is not None:
            spans.append(_to_span(start, entry.occurred_at, live, settings))
            start = None
    if start is not None:
        spans.append(_to_span(start, None, live, settings))
    return tuple(spans)


def check_sedation(spans: Sequence[SedationSpan], *, as_of: datetime) -> tuple[Finding, ...]:
    """Find times without vital signs that are longer than the set interval.

    Parameters
    ----------
    spans
        From `derive_sedation`.
    as_of
        The moment it is looked at: a sedation that lasts is checked until then.
    """
    return tuple(
        Finding.from_limit(
            span.limit,
            rule="procedure.vitals_gap",
            severity=Severity.ERROR,
            message=f"Under sedation no vital signs were recorded from {begin:%H:%M on %Y-%m-%d} "
            f"for {gap_min:.0f} min.",
            measured=round(gap_min, 2),
        )
        for span in spans
        for begin, gap_min in span.list_gaps(as_of=as_of)
    )


def _to_span(
    start: Entry, end: datetime | None, live: Sequence[Entry], settings: DaySettings
) -> SedationSpan:
    limit = settings.limits["vital_interval"]
    own = start.number("vital_interval_min")
    if own is not None:
        limit = replace(
            limit, value=own, source="set at the start of sedation", status=EvidenceStatus.VERIFIED
        )
    signs = tuple(
        entry.occurred_at
        for entry in live
        if entry.kind == "vital_signs"
        and entry.occurred_at >= start.occurred_at
        and (end is None or entry.occurred_at <= end)
    )
    return SedationSpan(start=start.occurred_at, end=end, limit=limit, signs=signs)
