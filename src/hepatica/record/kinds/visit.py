"""A visit that took place or was missed; what is due follows from these and the schedule."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="visit",
    label="Visit",
    of_patient=True,
    fields=(
        FieldRule(name="name", label="Visit", required=True),
        FieldRule(
            name="visit_number",
            label="Number",
            type=FieldType.INTEGER,
            least=1,
            most=999,
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(name="date", label="Date", type=FieldType.DATE),
        FieldRule(
            name="status",
            label="Status",
            type=FieldType.CODE,
            codes=("planned", "done", "missed", "cancelled"),
            required=True,
        ),
    ),
    read_right="visit.read",
    write_right="visit.write",
)
