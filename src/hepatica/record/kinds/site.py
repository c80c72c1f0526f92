"""A hospital or department; nobody at one sees another's patients."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, Kind

KIND: Final = Kind(
    name="site",
    label="Site",
    of_patient=False,
    fields=(
        FieldRule(name="name", label="Name", required=True),
        FieldRule(name="country_code", label="Country (ISO 3166-1 alpha-3)"),
    ),
    read_right="site.read",
    write_right="site.write",
)
