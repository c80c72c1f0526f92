"""A plan of two lesions and days on which it is carried out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hepatica.procedure.entry import Entry
from hepatica.procedure.planned import to_planned_day
from hepatica.procedure.settings import DaySettings

ZONE = timezone(timedelta(hours=1))
FRAME = "2.25.77"
SETTINGS = DaySettings(protocol_version="3.0", jurisdiction="uk")


def at(clock: str) -> datetime:
    """A time of the day of the procedure, on the wall."""
    hour, minute = clock.split(":")
    return datetime(2026, 3, 2, int(hour), int(minute), tzinfo=ZONE)


def make_plan_document(visit=1, dose_per_ml=1e6, status="cleared"):
    """L1 gets 2 mL in four deposits along x through P1 (backup P1b), L2 0.5 mL through P2, L3 nothing."""

    def lesion(name, x, diameter):
        return {
            "id": name,
            "tracking_uid": f"2.25.{ord(name[1])}",
            "centroid_lps_mm": [x, 0.0, 0.0],
            "longest_diameter_mm": diameter,
        }

    def injection(name, ml, rank):
        dose = ml * dose_per_ml
        return {
            "lesion_id": name,
            "rank": rank,
            "volume_ml": ml,
            "undelivered_ml": 0.0,
            "dose": dose,
            "dose_unit": "pfu",
        }

    def puncture(name, entry, tips):
        tracks = [
            {
                "tip_lps_mm": list(points[0][0]),
                "deposits": [
                    {"point_lps_mm": list(point), "volume_ml": ml, "lesion_id": lesion_id, "order": order}
                    for order, (point, ml, lesion_id) in enumerate(points, start=1)
                ],
            }
            for points in tips
        ]
        return {"id": name, "entry_lps_mm": entry, "tracks": tracks, "needle": {"dead_space_ml": 0.08}}

    stops = [((x, 0.0, 0.0), 0.5, "L1") for x in (10.0, 5.0, 0.0, -5.0)]
    back = [((0.0, y, 0.0), 1.0, "L1") for y in (5.0, 0.0)]
    return {
        "schema_version": "1.0",
        "plan_id": "plan-7",
        "status": status,
        "visit": visit,
        "protocol": {"agent": "talimogene laherparepvec"},
        "frame_of_reference": FRAME,
        "lesions": [lesion("L1", 0.0, 40.0), lesion("L2", 60.0, 14.0), lesion("L3", 90.0, 8.0)],
        "injections": [injection("L1", 2.0, 1), injection("L2", 0.5, 2), injection("L3", 0.0, 0)],
        "allocation": {"ceiling_ml": 4.0},
        "punctures": [
            puncture("P1", [-90.0, 0.0, 0.0], [stops]),
            puncture("P2", [60.0, -80.0, 0.0], [[((60.0, 0.0, 0.0), 0.5, "L2")]]),
        ],
        "backups": [puncture("P1b", [0.0, -100.0, 0.0], [back])],
    }


def make_planned(**options):
    return to_planned_day(make_plan_document(**options))


def make_entry(entry_id, kind, clock, *, entered="", author="u1", supersedes="", reason="", **values):
    when = at(clock)
    return Entry(
        entry_id=entry_id,
        kind=kind,
        occurred_at=when,
        entered_at=at(entered) if entered else when,
        author=author,
        values=values,
        supersedes=supersedes,
        reason=reason,
    )


def make_vial(entry_id, clock, name, *, lot="A7", expiry="2026-12-31", strength=1e6, thaw="07:30", **more):
    return make_entry(
        entry_id,
        "vial",
        clock,
        vial_id=name,
        agent="Talimogene laherparepvec",
        lot=lot,
        expiry_date=expiry,
        strength=strength,
        strength_unit="pfu_per_ml",
        volume_ml=1.0,
        thaw_start=at(thaw).isoformat(),
        storage="room",
        **more,
    )


def make_preparation():
    """Consent, labs, three vials, time-out, two syringes filled, sedation begun."""
    return [
        make_entry("e01", "consent_check", "08:00", confirmed=True, protocol_version="3.0"),
        make_entry("e02", "lab_check", "08:05", accepted=True, inr_ratio=1.1, platelets_1e9_per_l=180),
        make_vial("e03", "08:10", "V1"),
        make_vial("e04", "08:10", "V2"),
        make_vial("e05", "08:10", "V3"),
        make_entry(
            "e06",
            "time_out",
            "08:30",
            patient_confirmed=True,
            site_confirmed=True,
            side="right_lobe",
            lesion_ids=["L1", "L2"],
            agent="talimogene laherparepvec",
        ),
        make_entry("e07", "draw", "08:31", syringe_id="S1", vial_id="V1", volume_ml=1.0),
        make_entry("e08", "draw", "08:31", syringe_id="S1", vial_id="V2", volume_ml=1.0),
        make_entry("e09", "draw", "08:32", syringe_id="S1", vial_id="V3", volume_ml=0.1),
        make_entry("e10", "draw", "08:32", syringe_id="S2", vial_id="V3", volume_ml=0.6),
        make_entry("e11", "sedation_start", "08:33", level="moderate", vital_interval_min=10),
    ]


def make_injections():
    """Both needles, their control images, five deposits as planned."""
    rows = [
        make_entry("e20", "vital_signs", "08:40", heart_rate_per_min=72, systolic_mmhg=128, spo2_percent=97),
        make_entry("e21", "needle_in", "08:41", needle_id="N1", puncture_id="P1", gauge=22, coaxial=True),
        make_entry(
            "e22",
            "tip_check",
            "08:43",
            needle_id="N1",
            track=1,
            modality="ct",
            frame_of_reference=FRAME,
            measured_tip_lps_mm=[13.0, 0.0, 4.0],
        ),
    ]
    rows += [
        make_entry(
            f"e3{order}",
            "deposit",
            f"08:4{4 + order}",
            needle_id="N1",
            lesion_id="L1",
            syringe_id="S1",
            volume_ml=0.5,
            track=1,
            order=order,
            depth_mm=105.0 - 5 * order,
            leak="none",
            resistance="none",
            stop_reason="planned_volume_given",
        )
        for order in (1, 2, 3, 4)
    ]
    return [
        *rows,
        make_entry("e40", "vital_signs", "08:49", heart_rate_per_min=75),
        make_entry("e41", "needle_out", "08:50", needle_id="N1", track_sealing="gelatin_sponge", dwell_s=60),
        make_entry("e42", "needle_in", "08:55", needle_id="N2", puncture_id="P2", gauge=22),
        make_entry("e43", "vital_signs", "08:58", heart_rate_per_min=75),
        make_entry(
            "e44",
            "tip_check",
            "08:59",
            needle_id="N2",
            track=1,
            modality="ct",
            frame_of_reference=FRAME,
            measured_tip_lps_mm=[60.0, 0.0, 0.0],
        ),
        make_entry(
            "e45",
            "deposit",
            "09:00",
            needle_id="N2",
            lesion_id="L2",
            syringe_id="S2",
            volume_ml=0.5,
            track=1,
            order=1,
            leak="seen",
            leaked_ml=0.1,
            stop_reason="planned_volume_given",
        ),
        make_entry("e46", "needle_out", "09:02", needle_id="N2", track_sealing="slow_withdrawal"),
        make_entry("e47", "sedation_stop", "09:05"),
    ]


def make_end():
    return [
        make_entry("e50", "observation_start", "09:10", planned_min=240),
        make_entry("e51", "observation_end", "13:10", condition="stable"),
        make_entry("e52", "close", "13:15"),
    ]


def make_day():
    """A whole day as planned, but for 0.1 mL that leaked from L2."""
    return [*make_preparation(), *make_injections(), *make_end()]


def replace_entry(entries, entry_id, **changes):
    """The same day with one entry's values changed, as if it had been entered so."""
    from dataclasses import replace

    def change(entry):
        values = {
            **entry.values,
            **{k: v for k, v in changes.items() if k not in ("kind", "occurred_at", "entered_at")},
        }
        own = {k: v for k, v in changes.items() if k in ("kind", "occurred_at", "entered_at")}
        return replace(entry, values=values, **own)

    return [change(entry) if entry.entry_id == entry_id else entry for entry in entries]


def utc(clock: str) -> datetime:
    return at(clock).astimezone(UTC)
