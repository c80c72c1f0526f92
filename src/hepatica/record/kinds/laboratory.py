"""One laboratory result."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="laboratory",
    label="Laboratory result",
    of_patient=True,
    fields=(
        FieldRule(name="test_code", label="Test (LBTESTCD)", required=True),
        FieldRule(name="value", label="Result", type=FieldType.NUMBER, required=True),
        FieldRule(name="unit", label="Unit", required=True),
        FieldRule(name="lower_limit", label="Lower limit of normal", type=FieldType.NUMBER),
        FieldRule(name="upper_limit", label="Upper limit of normal", type=FieldType.NUMBER),
        FieldRule(name="date", label="Date", type=FieldType.DATE, required=True),
        FieldRule(name="baseline", label="Baseline", type=FieldType.FLAG),
    ),
    read_right="laboratory.read",
    write_right="laboratory.write",
)
