"""Who a patient is. Every field is sealed: the trail keeps a keyed digest, only named roles read the value."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="identity",
    label="Identity",
    of_patient=True,
    fields=(
        FieldRule(name="family_name", label="Family name", sealed=True),
        FieldRule(name="given_name", label="Given name", sealed=True),
        FieldRule(name="hospital_number", label="Hospital number", sealed=True),
        FieldRule(name="birth_date", label="Birth date", type=FieldType.DATE, sealed=True),
        FieldRule(name="sex_code", label="Sex", type=FieldType.CODE, codes=("F", "M", "O", "U"), sealed=True),
    ),
    read_right="identity.read",
    write_right="identity.write",
)
