"""A monitor has held an item's values against the source document."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="verification",
    label="Source verification",
    of_patient=True,
    fields=(
        FieldRule(name="about_kind", label="About", required=True),
        FieldRule(name="about_item_id", label="Item", required=True),
        FieldRule(name="about_digest", label="SHA-256 of what was verified", required=True),
        FieldRule(name="about_version", label="Version", type=FieldType.INTEGER, least=1),
        FieldRule(name="verified_fields", label="Fields", type=FieldType.LIST, required=True),
    ),
    read_right="verification.read",
    write_right="verification.write",
    reason_needed=False,
)
