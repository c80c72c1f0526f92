"""A patient under a study number; the name and birth date are the kind ``identity``."""

from __future__ import annotations

from typing import Final

from hepatica.record.kind import FieldRule, FieldType, Kind, Sight

KIND: Final = Kind(
    name="patient",
    label="Patient",
    of_patient=True,
    fields=(
        FieldRule(name="subject_id", label="Subject number", required=True, sight=Sight.READERS),
        FieldRule(
            name="status",
            label="Status",
            type=FieldType.CODE,
            codes=("screening", "on_treatment", "follow_up", "withdrawn", "completed"),
            required=True,
        ),
        FieldRule(
            name="tumour_type", label="Tumour type", type=FieldType.CODE, codes=("hcc", "metastasis", "other")
        ),
        FieldRule(name="cohort", label="Cohort"),
        FieldRule(name="dose_level", label="Dose level", type=FieldType.INTEGER, least=1, most=99),
        FieldRule(name="reference_date", label="First injection (day 1)", type=FieldType.DATE),
        FieldRule(name="treatment_end_date", label="End of treatment", type=FieldType.DATE),
        FieldRule(name="lost_date", label="Lost to follow-up", type=FieldType.DATE),
        FieldRule(name="last_known_alive_date", label="Last known alive", type=FieldType.DATE),
        FieldRule(name="death_date", label="Date of death", type=FieldType.DATE),
        FieldRule(name="simulated", label="Simulated, no person", type=FieldType.FLAG, sight=Sight.READERS),
    ),
    read_right="patient.read",
    write_right="patient.write",
)
