"""A report of one site's patients: of the trial, or of response over time."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="report",
    label="Report",
    of_patient=False,
    fields=(
        FieldRule(
            name="about", label="About", type=FieldType.CODE, codes=("trial", "response"), required=True
        ),
        FieldRule(name="made_time", label="Made", type=FieldType.TIME, required=True),
        FieldRule(name="partial", label="Something was left out", type=FieldType.FLAG, required=True),
        FieldRule(name="subjects", label="Subjects", type=FieldType.INTEGER, least=0),
        FieldRule(name="request", label="What was asked", type=FieldType.OBJECT),
        FieldRule(name="files", label="SHA-256 by file", type=FieldType.OBJECT, required=True),
    ),
    read_right="export.report",
    write_right="export.report",
)
