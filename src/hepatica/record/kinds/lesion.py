"""A lesion with the tracking UID it keeps for life."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="lesion",
    label="Lesion",
    of_patient=True,
    fields=(
        FieldRule(name="lesion_label", label="Lesion", required=True, sight=Sight.READERS),
        FieldRule(name="tracking_uid", label="Tracking UID", required=True, sight=Sight.READERS),
        FieldRule(name="location", label="Location (TULOC)", required=True, sight=Sight.READERS),
        FieldRule(name="segment", label="Liver segment", sight=Sight.READERS),
        FieldRule(
            name="injected_dates",
            label="Dates on which it was injected",
            type=FieldType.LIST,
            sight=Sight.AFTER_LOCK,
        ),
        FieldRule(name="parent_ids", label="Lesions it came from (split, merged)", type=FieldType.LIST),
    ),
    read_right="lesion.read",
    write_right="lesion.write",
)
