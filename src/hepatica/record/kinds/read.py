"""A reader's assignment to a patient's images, until it is locked or adjudicated."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="read",
    label="Read",
    of_patient=True,
    fields=(
        FieldRule(name="reader_id", label="Reader", required=True, sight=Sight.READERS),
        FieldRule(
            name="role",
            label="Role",
            type=FieldType.CODE,
            codes=("reader_1", "reader_2", "adjudicator"),
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="criterion",
            label="Criterion",
            type=FieldType.CODE,
            codes=("recist-1.1", "irecist", "itrecist", "mrecist", "volumetric"),
            required=True,
            sight=Sight.READERS,
        ),
        FieldRule(
            name="scan_ids", label="Scans in order", type=FieldType.LIST, required=True, sight=Sight.READERS
        ),
        FieldRule(
            name="state",
            label="State",
            type=FieldType.CODE,
            codes=("assigned", "started", "locked"),
            required=True,
            sight=Sight.READERS,
        ),
        # Who decides sees what he decides between; no reader sees the read of somebody else.
        FieldRule(
            name="adjudicates", label="Reads it decides between", type=FieldType.LIST, sight=Sight.READERS
        ),
        FieldRule(
            name="chosen_read_id",
            label="Read that holds",
            type=FieldType.REFERENCE,
            refers_to="read",
            sight=Sight.READERS,
        ),
        FieldRule(name="choice_reason", label="Why", sight=Sight.READERS),
    ),
    read_right="read.read",
    write_right="read.write",
    reason_needed=False,
)
