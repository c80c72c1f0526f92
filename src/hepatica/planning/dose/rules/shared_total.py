"""A fixed total amount shared over the lesions (JX-594)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal, to_fraction
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedTotal(VolumeRule):
    """One total, diluted into a share of each lesion's volume: each lesion gets its part by volume."""

    family: ClassVar[str] = "shared_total"
    total: Evidence
    volume_fraction: Evidence
    split: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read total, injectate volume and the way of sharing."""
        split = section.words("split", allowed=("by volume",))
        if split is None:
            raise section.refuse("split", expected='split = { value = "by volume", ... }', given="nothing")
        return cls(
            total=section.required_number("total", units=("pfu", "vp", "mg")),
            volume_fraction=section.required_number("volume_fraction", units=("percent", "fraction")),
            split=split,
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Total, injectate volume, way of sharing."""
        return (self.total, self.volume_fraction, self.split)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Return the volume that carries each lesion's part of the total."""
        share = to_fraction(self.volume_fraction)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=share * to_decimal(lesion.volume_ml),
                rule=(
                    f"{self.total.number:g} {self.total.unit} in all, shared over {len(lesions)} lesions by "
                    f"volume, in {float(share) * 100:g} % of the lesion's volume"
                ),
                used=self.evidence,
            )
            for lesion in lesions
        )

    def derive_dose(
        self, volume: Decimal, *, prepared: Decimal, concentration: Evidence | None
    ) -> tuple[Decimal, str] | None:
        """Return the part of the total: the total is prepared in the volume of all lesions together."""
        if prepared == 0:
            return Decimal(0), self.total.unit
        return to_decimal(self.total.number) * volume / prepared, self.total.unit
