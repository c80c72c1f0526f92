"""One injection plan: the documents that the planner wrote."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="plan",
    label="Plan",
    of_patient=True,
    fields=(
        FieldRule(name="scan_id", label="Scan", type=FieldType.REFERENCE, refers_to="scan", required=True),
        FieldRule(
            name="visit_number", label="Visit", type=FieldType.INTEGER, least=1, most=999, required=True
        ),
        FieldRule(
            name="status",
            label="Status",
            type=FieldType.CODE,
            codes=("cleared", "not_cleared"),
            required=True,
        ),
        FieldRule(name="files", label="SHA-256 by file", type=FieldType.OBJECT, required=True),
        FieldRule(name="request", label="What it was made from", type=FieldType.OBJECT),
        FieldRule(name="chosen_punctures", label="Chosen punctures", type=FieldType.LIST),
        FieldRule(name="dose_changes", label="Doses changed by hand, with reasons", type=FieldType.LIST),
        FieldRule(name="accepted_structures", label="Derived structures accepted", type=FieldType.LIST),
    ),
    read_right="plan.read",
    write_right="plan.write",
)
