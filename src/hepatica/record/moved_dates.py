"""Dates of a research record: every date of a patient is moved by his own number of days, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from hepatica.core.errors import RecordInputError
from hepatica.record.event import JsonValue, is_same_json
from hepatica.record.kind import FieldRule, FieldType, Kind

MIDDLE: Final = {4: "-07-02", 7: "-15"}
"""Day that stands for a date without day or month while it is moved: in the middle, so that it is off by least."""


class Calendar(StrEnum):
    """Which days a person means."""

    TRUE = "true"
    """Those of the wall calendar: they are moved before anything is kept."""
    RECORD = "record"
    """Those that the record shows."""
    UNSAID = ""
    """Not said: a date is refused, as an old true day cannot be told from a moved one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedDates:
    """Moves the dates of a record's patients.

    Parameters
    ----------
    find_offset_days
        Days by which the dates of a patient are moved, as those of his scans.
    calendar
        What whoever acts means by a date.
    """

    find_offset_days: Callable[[str], int]
    calendar: Calendar = Calendar.RECORD

    def speaking(self, calendar: Calendar) -> MovedDates:
        """Return the same for somebody who means other days."""
        return replace(self, calendar=calendar)

    def move_values(
        self,
        values: Mapping[str, JsonValue],
        *,
        kind: Kind,
        patient_id: str,
        before: Mapping[str, JsonValue],
    ) -> dict[str, JsonValue]:
        """Return fields with their dates in the record's calendar. What stays as the record shows it is not moved.

        Parameters
        ----------
        values
            Fields as they were given.
        kind, patient_id
            Of the item. Sealed fields stay: they are compared with what the images' headers said.
        before
            The item's fields so far.

        Raises
        ------
        RecordInputError
            If a date is given and nobody said which calendar it is of, or it cannot be moved.
        """
        moved = dict(values)
        if not kind.of_patient or self.calendar is Calendar.RECORD:
            return moved
        for rule in kind.fields:
            value = values.get(rule.name)
            if value is not None and holds_dates(rule) and not is_same_json(value, before.get(rule.name)):
                moved[rule.name] = self.move(
                    value,
                    patient_id=patient_id,
                    where=f"{kind.name} {rule.name}",
                    before=before.get(rule.name),
                )
        return moved

    def move(self, value: Any, *, patient_id: str, where: str, before: Any = None) -> Any:
        """Return a date, a time, or a list of them, in the record's calendar; what is no date stays as it is.

        Parameters
        ----------
        value
            As it was given.
        patient_id
            Whose.
        where
            Its field, for messages.
        before
            What stood there; days of a list that the record showed are not moved again.

        Raises
        ------
        RecordInputError
            As `move_values` does.
        """
        if self.calendar is Calendar.RECORD:
            return value
        if self.calendar is Calendar.UNSAID:
            raise RecordInputError(
                expected="a word of which calendar the dates are of: 'true' or 'record'",
                given="a date without it",
                where=where,
                action="send the header Hepatica-Dates; this record keeps no true date",
            )
        days = self.find_offset_days(patient_id)
        try:
            if isinstance(value, list):
                held = before if isinstance(before, list) else []
                return [day if day in held else move_date(day, days=days) for day in value]
            return move_date(value, days=days)
        except OverflowError as problem:
            raise RecordInputError(
                expected="a date that can be moved", given="one of before the calendar", where=where
            ) from problem


def holds_dates(rule: FieldRule) -> bool:
    """Return whether a field holds days of a patient's life that stand open in the record.

    Parameters
    ----------
    rule
        The field.
    """
    is_list = rule.type is FieldType.LIST and rule.name.endswith("_dates")
    return not rule.sealed and (rule.type in (FieldType.DATE, FieldType.TIME) or is_list)


def move_date(value: Any, *, days: int) -> Any:
    """Return an ISO date, whole or partial, or a time moved by whole days; anything else as it is.

    Parameters
    ----------
    value
        The text.
    days
        By how many.

    Examples
    --------
    >>> [move_date(text, days=-400) for text in ("2026-03-02", "2026-03", "2026", "2026-03-02T09:00:00+01:00")]
    ['2025-01-26', '2025-02', '2025', '2025-01-26T09:00:00+01:00']
    """
    if not isinstance(value, str):
        return value
    try:
        if len(value) > 10:
            return (datetime.fromisoformat(value) + timedelta(days=days)).isoformat()
        whole = date.fromisoformat(value + MIDDLE.get(len(value), ""))
    except ValueError:
        return value
    return (whole + timedelta(days=days)).isoformat()[: len(value)]
