"""One version of a study's protocol."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="study",
    label="Protocol version",
    of_patient=False,
    fields=(
        FieldRule(name="title", label="Title", required=True),
        FieldRule(name="study_code", label="Study identifier (STUDYID)"),
        FieldRule(name="protocol_version", label="Version", required=True),
        FieldRule(name="valid_from_date", label="Valid from", type=FieldType.DATE, required=True),
        FieldRule(name="dose_protocol", label="Dose protocol", required=True),
        FieldRule(name="schedule", label="Visit schedule"),
        FieldRule(
            name="schedule_numbers", label="Numbers that the schedule leaves open", type=FieldType.OBJECT
        ),
        FieldRule(name="dlt_definition", label="Definition of dose-limiting toxicity"),
        FieldRule(name="dlt_numbers", label="Numbers that the definition leaves open", type=FieldType.OBJECT),
        FieldRule(name="dlt_window_days", label="DLT window", type=FieldType.INTEGER, least=1, most=3650),
        FieldRule(name="escalation_design", label="Escalation design", type=FieldType.OBJECT),
    ),
    read_right="study.read",
    write_right="study.write",
)
