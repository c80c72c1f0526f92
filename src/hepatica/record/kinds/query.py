"""A question about one field of one item: open, answered, closed."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

KIND: Final = Kind(
    name="query",
    label="Query",
    of_patient=True,
    fields=(
        FieldRule(name="about_kind", label="About", required=True),
        FieldRule(name="about_item_id", label="Item", required=True),
        FieldRule(name="about_field", label="Field"),
        FieldRule(name="question", label="Question", required=True),
        FieldRule(name="answer", label="Answer"),
        FieldRule(
            name="state",
            label="State",
            type=FieldType.CODE,
            codes=("open", "answered", "closed"),
            required=True,
        ),
    ),
    read_right="query.read",
    write_right="query.write",
    reason_needed=False,
)
