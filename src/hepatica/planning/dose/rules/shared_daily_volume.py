"""A fixed strength and a daily volume over a few lesions (plasmid IL-12)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedDailyVolume(VolumeRule):
    """The daily volume in equal parts over the lesions chosen; strength is fixed by the visit."""

    family: ClassVar[str] = "shared_daily_volume"
    daily_cap: Evidence
    split: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read the daily volume and the way of sharing."""
        split = section.words("split", allowed=("equal parts",))
        if split is None:
            raise section.refuse("split", expected='split = { value = "equal parts", ... }', given="nothing")
        return cls(daily_cap=section.required_number("daily_cap", units=("ml",)), split=split)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Daily volume and way of sharing."""
        return (self.daily_cap, self.split)

    def cap_for_visit(self, visit: int) -> Evidence | None:
        """Return the daily volume."""
        return self.daily_cap

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Divide the daily volume by the number of lesions."""
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=to_decimal(self.daily_cap.number) / len(lesions),
                rule=f"{self.daily_cap.number:g} mL a day in equal parts over {len(lesions)} lesions",
                used=self.evidence,
            )
            for lesion in lesions
        )
