"""Millilitres for each cm3 of lesion, with a cap for each lesion (PV-10 in the liver)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class CappedFraction(VolumeRule):
    """A share of each lesion's volume, never more than a cap."""

    family: ClassVar[str] = "capped_fraction"
    amount: Evidence
    cap: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read share and cap."""
        return cls(
            amount=section.required_number("amount", units=("ml_per_cm3",)),
            cap=section.required_number("cap", units=("ml",)),
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Share and cap."""
        return (self.amount, self.cap)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Multiply, then cap."""
        amount, cap = to_decimal(self.amount.number), to_decimal(self.cap.number)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=min(amount * to_decimal(lesion.volume_ml), cap),
                rule=f"{amount:g} mL per cm3 of {lesion.volume_ml:.2f} cm3, at most {cap:g} mL in one lesion",
                used=self.evidence,
            )
            for lesion in lesions
        )
