"""A signature: it binds to an item's digest and is broken once the item is another."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="signature",
    label="Signature",
    of_patient=False,
    fields=(
        FieldRule(name="signed_kind", label="Signed", required=True),
        FieldRule(name="signed_item_id", label="Item", required=True),
        FieldRule(name="signed_version", label="Version", type=FieldType.INTEGER, least=1, required=True),
        FieldRule(name="signed_digest", label="SHA-256 of what was signed", required=True),
        FieldRule(name="meaning", label="Meaning", required=True),
        FieldRule(name="signer_id", label="Signer", required=True),
        FieldRule(
            name="proof",
            label="How the signer showed who he is",
            type=FieldType.CODE,
            codes=("password", "oidc"),
            required=True,
        ),
        FieldRule(name="time_utc", label="When", type=FieldType.TIME, required=True),
    ),
    read_right="signature.read",
    write_right="signature.write",
    reason_needed=False,
)
