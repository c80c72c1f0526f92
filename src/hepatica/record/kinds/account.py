"""A person who may use the record. Secrets are kept elsewhere."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="account",
    label="Account",
    of_patient=False,
    fields=(
        FieldRule(name="login", label="Login", required=True),
        FieldRule(name="display_name", label="Name shown", required=True),
        FieldRule(name="roles", label="Roles", type=FieldType.LIST, required=True),
        FieldRule(name="site_ids", label="Sites", type=FieldType.LIST, required=True),
        FieldRule(
            name="state",
            label="State",
            type=FieldType.CODE,
            codes=("invited", "active", "disabled"),
            required=True,
        ),
        FieldRule(name="expires_date", label="Expires", type=FieldType.DATE),
    ),
    read_right="account.read",
    write_right="account.write",
)
