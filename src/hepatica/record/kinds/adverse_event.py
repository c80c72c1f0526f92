"""An adverse event, with attribution to agent and to procedure apart."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind

RELATIONS: Final = ("NOT RELATED", "UNLIKELY RELATED", "POSSIBLY RELATED", "PROBABLY RELATED", "RELATED")
KIND: Final = Kind(
    name="adverse_event",
    label="Adverse event",
    of_patient=True,
    fields=(
        FieldRule(name="term", label="Term as reported (AETERM)", required=True),
        FieldRule(name="ctcae_term", label="CTCAE v5 term"),
        FieldRule(name="grade", label="Grade (AETOXGR)", type=FieldType.INTEGER, least=1, most=5),
        FieldRule(name="start_date", label="Start", type=FieldType.DATE, required=True),
        FieldRule(name="end_date", label="End", type=FieldType.DATE),
        FieldRule(name="serious", label="Serious", type=FieldType.FLAG, required=True),
        FieldRule(name="became_aware_time", label="Site became aware", type=FieldType.TIME),
        FieldRule(name="reported_time", label="Reported to the sponsor", type=FieldType.TIME),
        FieldRule(name="relation_to_agent", label="To the agent", type=FieldType.CODE, codes=RELATIONS),
        FieldRule(
            name="relation_to_procedure", label="To the procedure", type=FieldType.CODE, codes=RELATIONS
        ),
        FieldRule(
            name="outcome",
            label="Outcome (AEOUT)",
            type=FieldType.CODE,
            codes=(
                "FATAL",
                "NOT RECOVERED/NOT RESOLVED",
                "RECOVERED/RESOLVED",
                "RECOVERED/RESOLVED WITH SEQUELAE",
                "RECOVERING/RESOLVING",
                "UNKNOWN",
            ),
        ),
        FieldRule(name="note", label="Note"),
    ),
    read_right="adverse_event.read",
    write_right="adverse_event.write",
)
