"""A fixed number of vials for each lesion (H101)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedPerLesion(VolumeRule):
    """The same volume for each lesion, whatever its size."""

    family: ClassVar[str] = "fixed_per_lesion"
    vials: Evidence
    vial_volume: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read the number of vials and the volume of one."""
        return cls(
            vials=section.required_number("vials", units=("",)),
            vial_volume=section.required_number("vial_volume", units=("ml",)),
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Vials and volume of one."""
        return (self.vials, self.vial_volume)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Multiply vials and their volume."""
        volume = to_decimal(self.vials.number) * to_decimal(self.vial_volume.number)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=volume,
                rule=f"{self.vials.number:g} vials of {self.vial_volume.number:g} mL in each lesion",
                used=self.evidence,
            )
            for lesion in lesions
        )
