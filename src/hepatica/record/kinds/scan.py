"""One imaging series with where its bytes lie."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="scan",
    label="Scan",
    of_patient=True,
    fields=(
        FieldRule(name="series_uid", label="Series", required=True),
        FieldRule(name="study_uid", label="Imaging study"),
        FieldRule(name="modality", label="Modality", required=True, sight=Sight.READERS),
        FieldRule(name="acquired_date", label="Acquired", type=FieldType.DATE),
        FieldRule(
            name="visit_number", label="Visit", type=FieldType.INTEGER, least=1, most=999, sight=Sight.READERS
        ),
        FieldRule(name="phase_hint", label="Contrast phase", sight=Sight.READERS),
        FieldRule(
            name="image_count",
            label="Images",
            type=FieldType.INTEGER,
            least=1,
            most=100_000,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="content_digest", label="SHA-256 of the stored bytes", required=True, sight=Sight.READERS
        ),
        FieldRule(
            name="state",
            label="State",
            type=FieldType.CODE,
            codes=("accepted", "identity_differs", "suspected_burnt_in", "rejected"),
            required=True,
        ),
        FieldRule(name="source_pacs", label="Name of the PACS it came from"),
        FieldRule(name="differing", label="Attributes that differ from the patient's", type=FieldType.LIST),
        FieldRule(name="suspicions", label="Why text may be burnt in", type=FieldType.LIST),
        FieldRule(name="files", label="SHA-256 by file", type=FieldType.OBJECT),
        FieldRule(name="moved_from", label="Entry that it was moved from, before scans kept theirs"),
        FieldRule(name="labels_of", label="Scan that it labels", type=FieldType.REFERENCE, refers_to="scan"),
        FieldRule(name="label_names", label="Names by label value", type=FieldType.OBJECT),
        FieldRule(name="redraws", label="What of which plan it redraws", type=FieldType.OBJECT),
        FieldRule(name="title", label="What it is called"),
    ),
    read_right="scan.read",
    write_right="scan.write",
)
