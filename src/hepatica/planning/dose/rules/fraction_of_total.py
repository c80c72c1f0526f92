"""Fraction of the total tumour volume, split over days with a daily cap (PTS100)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal, to_fraction
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class FractionOfTotal(VolumeRule):
    """A share of all tumour volume together for the whole course; each visit is one injection day.

    Each lesion's part of the course is its part of the total volume. What was given before is taken off.
    """

    family: ClassVar[str] = "fraction_of_total"
    whole_course: ClassVar[bool] = True
    fraction: Evidence
    first_day_cap: Evidence
    later_day_cap: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read share and daily caps."""
        return cls(
            fraction=section.required_number("fraction", units=("percent", "fraction")),
            first_day_cap=section.required_number("first_day_cap", units=("ml",)),
            later_day_cap=section.required_number("later_day_cap", units=("ml",)),
        )

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Share and caps."""
        return (self.fraction, self.first_day_cap, self.later_day_cap)

    @property
    def missing(self) -> tuple[str, ...]:
        """The share; a missing cap is asked for on the day it is needed."""
        return (self.fraction.key,) if self.fraction.status is EvidenceStatus.NOT_SET else ()

    def cap_for_visit(self, visit: int) -> Evidence | None:
        """Return the cap of the injection day."""
        return self.first_day_cap if visit == 1 else self.later_day_cap

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Divide the course's amount by volume."""
        share = to_fraction(self.fraction)
        total = sum(lesion.volume_ml for lesion in lesions)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=share * to_decimal(lesion.volume_ml),
                rule=(
                    f"{float(share) * 100:g} % of the total tumour volume of {total:.2f} mL over all "
                    f"injection days, shared by volume ({lesion.volume_ml:.2f} mL)"
                ),
                used=(self.fraction,),
            )
            for lesion in lesions
        )
