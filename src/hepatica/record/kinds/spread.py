"""A predicted spread of a plan's injections: the documents that the simulation wrote."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="spread",
    label="Predicted spread",
    of_patient=True,
    fields=(
        FieldRule(name="plan_id", label="Plan", type=FieldType.REFERENCE, refers_to="plan", required=True),
        FieldRule(name="draws", label="Draws", type=FieldType.INTEGER, least=1, most=100_000, required=True),
        FieldRule(name="seed", label="Seed", type=FieldType.INTEGER, least=0, required=True),
        FieldRule(name="rate_ml_per_min", label="Rate as stated", type=FieldType.NUMBER, least=0, most=1000),
        FieldRule(name="files", label="SHA-256 by file", type=FieldType.OBJECT, required=True),
    ),
    read_right="plan.read",
    write_right="plan.write",
)
