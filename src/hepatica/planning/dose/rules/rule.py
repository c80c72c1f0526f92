"""What every family of dose rules answers, and where families are found."""

from __future__ import annotations

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import ClassVar, Self

from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.planning.dose.section import Section, to_decimal
from hepatica.planning.dose.values import DoseLesion

AMOUNT_UNIT = {"pfu_per_ml": "pfu", "vp_per_ml": "vp", "mg_per_ml": "mg"}
"""Unit of an amount by the unit of its concentration."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleVolume:
    """What a rule alone gives one lesion.

    Parameters
    ----------
    lesion_id
        Lesion.
    volume
        Millilitres, as a decimal so that sums close exactly.
    rule
        The rule in words, with the numbers used.
    used
        The numbers used.
    reason
        Why the rule gives nothing; empty otherwise.
    """

    lesion_id: str
    volume: Decimal
    rule: str
    used: tuple[Evidence, ...]
    reason: str = ""


class VolumeRule(ABC):
    """A family of dose rules with one protocol's numbers in it.

    A family is a frozen dataclass in a module of this package. It declares its ``family`` name and is found
    by that declaration; no list names it.
    """

    __slots__ = ()

    family: ClassVar[str]
    """Name used in protocol files."""
    whole_course: ClassVar[bool] = False
    """Whether the rule's amount is for the whole course, so that what was given before is taken off."""

    @classmethod
    @abstractmethod
    def from_section(cls, section: Section) -> Self:
        """Read the rule's table of a protocol file.

        Raises
        ------
        ProtocolError
            On numbers that contradict each other.
        """

    @property
    @abstractmethod
    def evidence(self) -> tuple[Evidence, ...]:
        """Every number and coded choice of the rule."""

    @abstractmethod
    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Return the volume of each lesion, before any ceiling.

        Parameters
        ----------
        lesions
            The lesions to inject at this visit, in order of injection.
        concentration
            Strength of the visit; None where the agent is counted in millilitres.
        """

    @property
    def missing(self) -> tuple[str, ...]:
        """Dotted names of what has to be supplied before the rule can be used."""
        return tuple(item.key for item in self.evidence if item.status is EvidenceStatus.NOT_SET)

    @property
    def edges_mm(self) -> tuple[float, ...]:
        """Longest diameters at which the amount jumps; empty for rules without jumps."""
        return ()

    def cap_for_visit(self, visit: int) -> Evidence | None:
        """Return the rule's own ceiling over all lesions at a visit, None where it has none."""
        return None

    def needs_concentration(self) -> bool:
        """Whether volumes cannot be computed without a strength."""
        return False

    def derive_dose(
        self, volume: Decimal, *, prepared: Decimal, concentration: Evidence | None
    ) -> tuple[Decimal, str] | None:
        """Return the amount of agent in a volume and its unit, None where the strength is not set.

        Parameters
        ----------
        volume
            Millilitres given to one lesion.
        prepared
            Millilitres of all lesions together before the ceiling.
        concentration
            Strength of the visit.
        """
        if concentration is None:
            return volume, "ml"
        if concentration.value is None:
            return None
        return volume * to_decimal(concentration.number), AMOUNT_UNIT[concentration.unit]


@cache
def find_families() -> dict[str, type[VolumeRule]]:
    """Return every rule family of this package by the name it declares."""
    package = importlib.import_module(__package__ or "hepatica.planning.dose.rules")
    families: dict[str, type[VolumeRule]] = {}
    for module_info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"{package.__name__}.{module_info.name}")
        for item in vars(module).values():
            if isinstance(item, type) and issubclass(item, VolumeRule) and item is not VolumeRule:
                families[item.family] = item
    return families
