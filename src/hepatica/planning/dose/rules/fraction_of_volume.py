"""Fraction of the lesion's volume (NBTXR3)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal, to_fraction
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionOfVolume(VolumeRule):
    """A fixed share of each lesion's own volume."""

    family: ClassVar[str] = "fraction_of_volume"
    fraction: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read the share."""
        return cls(fraction=section.required_number("fraction", units=("percent", "fraction")))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The share."""
        return (self.fraction,)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Multiply volume and share."""
        share = to_fraction(self.fraction)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=share * to_decimal(lesion.volume_ml),
                rule=f"{float(share) * 100:g} % of {lesion.volume_ml:.2f} mL",
                used=self.evidence,
            )
            for lesion in lesions
        )
