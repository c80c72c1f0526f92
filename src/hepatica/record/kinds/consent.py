"""A patient's consent to one protocol version, and its withdrawal."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="consent",
    label="Consent",
    of_patient=True,
    fields=(
        FieldRule(
            name="study_id",
            label="Protocol version",
            type=FieldType.REFERENCE,
            refers_to="study",
            required=True,
        ),
        FieldRule(name="form_version", label="Version of the form", required=True),
        FieldRule(name="signed_date", label="Signed", type=FieldType.DATE, required=True),
        FieldRule(name="withdrawn_date", label="Withdrawn", type=FieldType.DATE),
        FieldRule(
            name="withdrawal_scope",
            label="What was withdrawn",
            type=FieldType.CODE,
            codes=("treatment", "treatment_and_follow_up", "treatment_follow_up_and_data"),
        ),
    ),
    read_right="consent.read",
    write_right="consent.write",
)
