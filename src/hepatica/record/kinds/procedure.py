"""The day of an injection, as `hepatica.procedure` keeps it."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="procedure",
    label="Procedure",
    of_patient=True,
    fields=(
        FieldRule(name="plan_id", label="Plan", type=FieldType.REFERENCE, refers_to="plan"),
        FieldRule(
            name="visit_number", label="Visit", type=FieldType.INTEGER, least=1, most=999, required=True
        ),
        FieldRule(name="state", label="State", required=True),
        FieldRule(name="entries", label="What was entered, in order", type=FieldType.LIST, required=True),
    ),
    read_right="procedure.read",
    write_right="procedure.write",
    reason_needed=False,
)
