"""A simulated plan, and the entries of the day on which it is carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from math import ceil
from random import Random
from typing import Any, Final

from hepatica.planning.dose.allocate import allocate_dose
from hepatica.planning.dose.protocol import read_protocol
from hepatica.planning.dose.values import Allocation, DoseLesion
from hepatica.workflows.cohort.course import SimulatedLesion, measure_volume_ml

AGENT: Final = "talimogene laherparepvec"
FRAME: Final = "2.25.20151"
DEAD_SPACE_ML: Final = 0.08
DEPOSIT_MOST_ML: Final = 1.0
VIAL_ML: Final = 1.0
STEP_MM: Final = 5.0
VITALS_MIN: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedPlan:
    """A plan without images, and what a day needs of it.

    Parameters
    ----------
    document
        ``plan.json`` with the parts that a day is held against, marked as simulated.
    volumes_ml
        Millilitres by lesion, those that get something.
    strength_pfu_per_ml
        Of the dose level.
    """

    document: Mapping[str, Any]
    volumes_ml: Mapping[str, float]
    strength_pfu_per_ml: float


def _allocate(lesions: Sequence[tuple[SimulatedLesion, str, float]], *, visit: int) -> Allocation:
    """Return the packaged label protocol's amounts; the demonstration names no dose of its own."""
    return allocate_dose(
        [
            DoseLesion(
                lesion_id=lesion.name,
                longest_diameter_mm=size_mm,
                volume_ml=measure_volume_ml(size_mm),
                injectable=lesion.injected,
                reason="" if lesion.injected else "not chosen for injection",
            )
            for lesion, _, size_mm in lesions
        ],
        protocol=read_protocol("tvec-label"),
        visit=visit,
    )


def plan_visit(
    lesions: Sequence[tuple[SimulatedLesion, str, float]],
    *,
    plan_id: str,
    visit: int,
    level: Mapping[str, float],
    notice: str,
) -> SimulatedPlan:
    """Share the volume of a visit over the lesions that are injected, by the label's table and the level's ceiling.

    Parameters
    ----------
    lesions
        Each with its tracking UID and its present diameter in mm.
    plan_id, visit
        Of the plan.
    level
        ``concentration_pfu_per_ml`` and ``volume_ceiling_ml``.
    notice
        That it is simulated.
    """
    allocation = _allocate(lesions, visit=visit)
    left = level["volume_ceiling_ml"]
    strength = level["concentration_pfu_per_ml"]
    volumes: dict[str, float] = {}
    ranks: dict[str, int] = {}
    for injection in allocation.injections:
        given = round(min(injection.volume_ml, left), 1)
        if injection.rank and given > 0:
            volumes[injection.lesion_id], ranks[injection.lesion_id] = given, len(ranks) + 1
            left = round(left - given, 1)
    places = {lesion.name: (30.0 * number, -40.0, 10.0) for number, (lesion, _, _) in enumerate(lesions)}
    return SimulatedPlan(
        document={
            "schema_version": "1.0",
            "simulated": notice,
            "plan_id": plan_id,
            "status": "cleared",
            "visit": visit,
            "protocol": {"agent": AGENT},
            "frame_of_reference": FRAME,
            "lesions": [
                {
                    "id": lesion.name,
                    "tracking_uid": uid,
                    "centroid_lps_mm": list(places[lesion.name]),
                    "longest_diameter_mm": round(size_mm, 1),
                }
                for lesion, uid, size_mm in lesions
            ],
            "injections": [
                {
                    "lesion_id": lesion.name,
                    "rank": ranks.get(lesion.name, 0),
                    "volume_ml": volumes.get(lesion.name, 0.0),
                    "undelivered_ml": 0.0,
                    "dose": volumes.get(lesion.name, 0.0) * strength,
                    "dose_unit": "pfu",
                }
                for lesion, _, _ in lesions
            ],
            "allocation": {"ceiling_ml": level["volume_ceiling_ml"]},
            "punctures": [
                _to_puncture(f"P{rank}", places[name], name=name, volume_ml=volumes[name])
                for name, rank in ranks.items()
            ],
            "backups": [],
        },
        volumes_ml=volumes,
        strength_pfu_per_ml=strength,
    )


def split_volume(volume_ml: float) -> tuple[float, ...]:
    """Return the deposits of a volume, each of at most one millilitre.

    Examples
    --------
    >>> split_volume(2.5)
    (0.9, 0.8, 0.8)
    """
    count = ceil(round(volume_ml / DEPOSIT_MOST_ML, 6))
    tenths, more = divmod(round(volume_ml * 10), count)
    return tuple((tenths + (number < more)) / 10 for number in range(count))


def _to_puncture(
    name_of_puncture: str, place: tuple[float, float, float], *, name: str, volume_ml: float
) -> dict[str, Any]:
    x, y, z = place
    return {
        "id": name_of_puncture,
        "entry_lps_mm": [x - 90.0, y, z],
        "tracks": [
            {
                "tip_lps_mm": [x, y, z],
                "deposits": [
                    {
                        "point_lps_mm": [x - STEP_MM * (order - 1), y, z],
                        "volume_ml": part,
                        "lesion_id": name,
                        "order": order,
                    }
                    for order, part in enumerate(split_volume(volume_ml), start=1)
                ],
            }
        ],
        "needle": {"dead_space_ml": DEAD_SPACE_ML},
    }


class DayScript:
    """The entries of a day, made one after the other.

    Parameters
    ----------
    plan
        What was planned.
    on
        The day.
    protocol_version
        That the patient consented to.
    deviation_fraction
        How often something goes otherwise than planned.
    rng
        Random source.
    """

    def __init__(
        self,
        plan: SimulatedPlan,
        *,
        on: date,
        protocol_version: str,
        deviation_fraction: float,
        rng: Random,
    ) -> None:
        self._plan, self._rng = plan, rng
        self._version, self._chance = protocol_version, deviation_fraction
        self._count = 0
        self.now = datetime.combine(on, time(8, 0), UTC)

    def prepare(self) -> list[dict[str, Any]]:
        """Return consent, laboratory values, vials, time-out and filled syringes."""
        return list(self._prepare())

    def inject(self) -> list[dict[str, Any]]:
        """Return needles, control images and deposits."""
        return [
            entry
            for number, name in enumerate(self._plan.volumes_ml, start=1)
            for entry in self._inject(number, name)
        ]

    def observe(self) -> list[dict[str, Any]]:
        """Return the observation."""
        return [
            self._enter("observation_start", planned_min=240),
            self._enter("observation_end", minutes=240, condition="stable"),
        ]

    def explain(self, deviations: Sequence[str]) -> list[dict[str, Any]]:
        """Return reasons for what deviated.

        Parameters
        ----------
        deviations
            Keys that lack a reason.
        """
        return [self._enter("deviation_reason", deviation=key, text=self._explain(key)) for key in deviations]

    def close(self) -> dict[str, Any]:
        """Return the closing."""
        return self._enter("close", minutes=5)

    def _enter(self, kind: str, *, minutes: int = 1, **values: Any) -> dict[str, Any]:
        self._count += 1
        self.now += timedelta(minutes=minutes)
        return {
            "entry_id": f"e{self._count:02d}",
            "kind": kind,
            "occurred_at": self.now.isoformat(),
            "values": values,
        }

    def _prepare(self) -> Iterator[dict[str, Any]]:
        volumes = self._plan.volumes_ml
        thawed = (self.now - timedelta(minutes=40)).isoformat()
        expiry = (self.now + timedelta(days=200)).date().isoformat()
        yield self._enter("consent_check", confirmed=True, protocol_version=self._version)
        yield self._enter("lab_check", accepted=True)
        needed_ml = sum(volumes.values()) + DEAD_SPACE_ML * len(volumes)
        for number in range(ceil(needed_ml / VIAL_ML)):
            yield self._enter(
                "vial", minutes=0, vial_id=f"V{number + 1}", agent=AGENT, lot="SIM-A7", expiry_date=expiry,
                strength=self._plan.strength_pfu_per_ml, strength_unit="pfu_per_ml", volume_ml=VIAL_ML,
                thaw_start=thawed, storage="room",
            )  # fmt: skip
        yield self._enter(
            "time_out", minutes=10, patient_confirmed=True, site_confirmed=True, side="right_lobe",
            lesion_ids=list(volumes), agent=AGENT,
        )  # fmt: skip
        yield from self._draw()
        yield self._enter("sedation_start", level="moderate", vital_interval_min=VITALS_MIN)

    def _draw(self) -> Iterator[dict[str, Any]]:
        """Fill one syringe for each lesion from the vials in turn, in hundredths of a millilitre."""
        left, vial = round(VIAL_ML * 100), 1
        for number, volume_ml in enumerate(self._plan.volumes_ml.values(), start=1):
            wanted = round((volume_ml + DEAD_SPACE_ML) * 100)
            while wanted:
                taken = min(wanted, left)
                yield self._enter("draw", syringe_id=f"S{number}", vial_id=f"V{vial}", volume_ml=taken / 100)
                wanted, left = wanted - taken, left - taken
                if not left:
                    left, vial = round(VIAL_ML * 100), vial + 1

    def _inject(self, number: int, name: str) -> Iterator[dict[str, Any]]:
        needle, puncture = f"N{number}", self._find_puncture(number)
        x, y, z = puncture["tracks"][0]["tip_lps_mm"]
        off = [round(self._rng.gauss(0.0, 1.6), 1) for _ in range(3)]
        deposits = puncture["tracks"][0]["deposits"]
        stopped = self._rng.random() < self._chance and len(deposits) > 1
        yield self._enter("vital_signs", heart_rate_per_min=self._rng.randint(62, 88), spo2_percent=97)
        yield self._enter("needle_in", needle_id=needle, puncture_id=puncture["id"], gauge=22)
        yield self._enter(
            "tip_check", minutes=2, needle_id=needle, track=1, modality="ct", frame_of_reference=FRAME,
            measured_tip_lps_mm=[x + off[0], y + off[1], z + off[2]],
        )  # fmt: skip
        given = deposits[:-1] if stopped else deposits
        for deposit in given:
            leaks = self._rng.random() < self._chance / 3
            leaked: dict[str, Any] = {"leaked_ml": 0.1} if leaks else {}
            yield self._enter(
                "deposit", needle_id=needle, lesion_id=name, syringe_id=f"S{number}", volume_ml=deposit["volume_ml"],
                track=1, order=deposit["order"], depth_mm=90.0 - STEP_MM * (deposit["order"] - 1),
                leak="seen" if leaks else "none", resistance="none", stop_reason="planned_volume_given",
                **leaked,
            )  # fmt: skip
        if stopped:
            yield self._enter(
                "stop", lesion_id=name, stop_reason=self._rng.choice(("resistance", "pain", "leak"))
            )
        yield self._enter("needle_out", needle_id=needle, track_sealing="slow_withdrawal")
        if number == len(self._plan.volumes_ml):
            yield self._enter("vital_signs", heart_rate_per_min=self._rng.randint(62, 88), spo2_percent=98)
            yield self._enter("sedation_stop")

    def _find_puncture(self, number: int) -> Mapping[str, Any]:
        punctures: list[Mapping[str, Any]] = self._plan.document["punctures"]
        return punctures[number - 1]

    def _explain(self, key: str) -> str:
        word = key.partition(":")[0]
        return {
            "volume": "Simulated: the rest was not given, the plunger stiffened.",
            "leak": "Simulated: a drop came back along the track.",
            "tip": "Simulated: accepted on the control image, within the lesion.",
        }.get(word, "Simulated: as the patient's breathing allowed.")
