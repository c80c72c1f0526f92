"""A follow-up scan registered to its baseline: where points of the one lie in the other, and how far to trust it."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="registration",
    label="Registration of two scans",
    of_patient=True,
    fields=(
        FieldRule(
            name="baseline_scan_id",
            label="Baseline",
            type=FieldType.REFERENCE,
            refers_to="scan",
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="followup_scan_id",
            label="Follow-up",
            type=FieldType.REFERENCE,
            refers_to="scan",
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="baseline_digest", label="SHA-256 of the baseline", required=True, sight=Sight.READERS
        ),
        FieldRule(
            name="followup_digest", label="SHA-256 of the follow-up", required=True, sight=Sight.READERS
        ),
        FieldRule(
            name="outcome",
            label="Whether it may be used",
            type=FieldType.CODE,
            codes=("accepted", "doubtful", "not_evaluable"),
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(name="reason", label="Why", required=True, sight=Sight.READERS),
        FieldRule(
            name="stage",
            label="Stage that is used",
            type=FieldType.CODE,
            codes=("position", "rigid", "affine", "deformable"),
            sight=Sight.READERS,
        ),
        FieldRule(
            name="region",
            label="What was registered",
            type=FieldType.CODE,
            codes=("liver", "body"),
            sight=Sight.READERS,
        ),
        FieldRule(
            name="residual_mm",
            label="Residual",
            type=FieldType.NUMBER,
            least=0,
            most=500,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="uncertainty_mm",
            label="What a centre may be off by",
            type=FieldType.NUMBER,
            least=0,
            most=500,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="smallest_jacobian",
            label="Smallest volume ratio of the map",
            type=FieldType.NUMBER,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="map_error_mm",
            label="Largest difference of the kept map from the one that was found",
            type=FieldType.NUMBER,
            least=0,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="followup_from_baseline",
            label="Affine part, row by row, LPS, mm",
            type=FieldType.LIST,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="stages", label="Every stage that was tried", type=FieldType.LIST, sight=Sight.READERS
        ),
        FieldRule(name="phases", label="What is known of the contrast phases", sight=Sight.READERS),
        # That somebody drew labels, and how many, is for the treating team alone.
        FieldRule(name="label_digests", label="SHA-256 of the labels that were used", type=FieldType.OBJECT),
        FieldRule(name="label_notes", label="Labels that could not be used, and why", type=FieldType.LIST),
        FieldRule(name="code_version", label="Version of the program", required=True, sight=Sight.READERS),
        FieldRule(
            name="libraries", label="Versions of libraries", type=FieldType.OBJECT, sight=Sight.READERS
        ),
        FieldRule(name="files", label="SHA-256 by file", type=FieldType.OBJECT, sight=Sight.READERS),
    ),
    read_right="registration.read",
    write_right="registration.write",
)
