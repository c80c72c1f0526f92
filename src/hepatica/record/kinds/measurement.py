"""One lesion measured by one reader at one visit."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="measurement",
    label="Measurement",
    of_patient=True,
    fields=(
        FieldRule(
            name="read_id",
            label="Read",
            type=FieldType.REFERENCE,
            refers_to="read",
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="lesion_id",
            label="Lesion",
            type=FieldType.REFERENCE,
            refers_to="lesion",
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="scan_id",
            label="Scan it was measured on",
            type=FieldType.REFERENCE,
            refers_to="scan",
            sight=Sight.READERS,
        ),
        FieldRule(
            name="lesion_role",
            label="Role of the lesion in this read",
            type=FieldType.CODE,
            codes=("TARGET", "NON-TARGET", "NEW"),
            sight=Sight.READERS,
        ),
        FieldRule(
            name="longest_diameter_mm",
            label="Longest diameter",
            type=FieldType.NUMBER,
            least=0,
            most=500,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="short_axis_mm",
            label="Short axis",
            type=FieldType.NUMBER,
            least=0,
            most=500,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="volume_ml", label="Volume", type=FieldType.NUMBER, least=0, most=10_000, sight=Sight.READERS
        ),
        FieldRule(
            name="state",
            label="State (TUMSTATE)",
            type=FieldType.CODE,
            codes=("PRESENT", "ABSENT", "UNEQUIVOCAL", "EQUIVOCAL", "NOT EVALUABLE"),
            sight=Sight.READERS,
        ),
        FieldRule(
            name="ends_lps_mm",
            label="Ends of the longest diameter, then of the short axis",
            type=FieldType.LIST,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="match_basis",
            label="How the lesion was found again",
            type=FieldType.CODE,
            codes=("label", "position", "registration", "reader"),
            sight=Sight.READERS,
        ),
    ),
    read_right="measurement.read",
    write_right="measurement.write",
)
