"""Volume of the treated zone, lesion plus margin (ethanol, PV-10 in the breast)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.core.units import ML_PER_MM3
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal, to_mm
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class ZoneWithMargin(VolumeRule):
    """A sphere of half the longest diameter plus a margin, with an amount for each cm3, for the course."""

    family: ClassVar[str] = "zone_with_margin"
    whole_course: ClassVar[bool] = True
    margin: Evidence
    amount: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read margin and amount for each cm3."""
        return cls(
            margin=section.required_number("margin", units=("cm", "mm"), zero=True),
            amount=section.required_number("amount", units=("ml_per_cm3",)),
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Margin and amount."""
        return (self.margin, self.amount)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Fill the sphere."""
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=to_decimal(self.amount.number) * self._derive_zone(lesion.longest_diameter_mm),
                rule=(
                    f"sphere of {lesion.longest_diameter_mm:.1f} mm plus {to_mm(self.margin):g} mm margin, "
                    f"{self.amount.number:g} mL per cm3, for the whole course"
                ),
                used=self.evidence,
            )
            for lesion in lesions
        )

    def _derive_zone(self, longest_diameter_mm: float) -> Decimal:
        radius_mm = longest_diameter_mm / 2 + to_mm(self.margin)
        return to_decimal(4 / 3 * math.pi * radius_mm**3 * ML_PER_MM3)
