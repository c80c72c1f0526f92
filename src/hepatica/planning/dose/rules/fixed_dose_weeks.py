"""A fixed amount in one lesion on set weeks (tilsotolimod)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from hepatica.core.errors import NotSetError
from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import AMOUNT_UNIT, RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal
from hepatica.planning.dose.values import DoseLesion


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedDoseWeeks(VolumeRule):
    """The same amount at each visit; the volume follows from the strength."""

    family: ClassVar[str] = "fixed_dose_weeks"
    dose: Evidence
    weeks: Evidence

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read the amount and the list of weeks, one for each visit."""
        weeks = section.words("weeks")
        if weeks is None:
            raise section.refuse("weeks", expected='weeks = { value = "1, 2, 3", ... }', given="nothing")
        if weeks.value is not None:
            numbers = [part.strip() for part in str(weeks.value).split(",")]
            if not all(part.isdigit() for part in numbers) or sorted({int(p) for p in numbers}) != [
                int(p) for p in numbers
            ]:
                raise section.refuse(
                    "weeks", expected="rising week numbers with commas", given=f"'{weeks.value}'"
                )
        return cls(dose=section.required_number("dose", units=("mg", "pfu", "vp")), weeks=weeks)

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Amount and weeks."""
        return (self.dose, self.weeks)

    def needs_concentration(self) -> bool:
        """Whether volumes need a strength: always."""
        return True

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Divide amount by strength."""
        if concentration is None or AMOUNT_UNIT[concentration.unit] != self.dose.unit:
            raise NotSetError(
                expected=f"a strength in {self.dose.unit}_per_ml",
                given="none" if concentration is None else concentration.unit,
                where="protocol [visits]",
                action="give the strength of the visit in the protocol file",
            )
        volume = to_decimal(self.dose.number) / to_decimal(concentration.number)
        return tuple(
            RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=volume,
                rule=f"{self.dose.number:g} {self.dose.unit} in one lesion, in weeks {self.weeks.value}",
                used=(*self.evidence, concentration),
            )
            for lesion in lesions
        )
