"""Step table on the longest diameter (T-VEC label)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import ClassVar, Self

from hepatica.core.errors import NotSetError, ProtocolError
from hepatica.core.evidence import Evidence
from hepatica.planning.dose.rules.rule import RuleVolume, VolumeRule
from hepatica.planning.dose.section import Section, to_decimal, to_mm
from hepatica.planning.dose.values import DoseLesion

_JOINS = {"<=": ">", "<": ">="}
"""How the next band must start so that each diameter lies in exactly one band."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """One row: diameters from ``lower`` to ``upper`` get ``volume``; None means open."""

    lower: Evidence | None
    upper: Evidence | None
    volume: Evidence

    def holds(self, longest_diameter_mm: float) -> bool:
        """Whether a diameter lies in this band, by the edge convention of the table."""
        return not self.is_below(longest_diameter_mm) and (
            self.upper is None or _compare(longest_diameter_mm, self.upper)
        )

    def is_below(self, longest_diameter_mm: float) -> bool:
        """Whether a diameter lies below this band."""
        return self.lower is not None and not _compare(longest_diameter_mm, self.lower)

    def __str__(self) -> str:
        """Return the band in words."""
        parts = [
            f"{edge.edge} {edge.number:g} {edge.unit}"
            for edge in (self.lower, self.upper)
            if edge is not None
        ]
        return " and ".join(parts) or "any size"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTable(VolumeRule):
    """A volume for each band of the longest diameter; ``bands`` is empty where the table is not set."""

    family: ClassVar[str] = "step_table"
    bands: tuple[Band, ...]
    path: str

    @classmethod
    def from_section(cls, section: Section) -> Self:
        """Read bands that rise, touch and do not overlap."""
        if section.is_not_set("bands"):
            return cls(bands=(), path=section.dotted("bands"))
        rows = section.sections("bands")
        if not rows:
            raise section.refuse("bands", expected='at least one band, or bands = "not set"', given="nothing")
        bands = tuple(_read_band(row) for row in rows)
        for index, (band, following) in enumerate(pairwise(bands), 2):
            _check_joint(band, following, section=section, number=index)
        return cls(bands=bands, path=section.dotted("bands"))

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """Edges and volumes."""
        return tuple(
            item for band in self.bands for item in (band.lower, band.upper, band.volume) if item is not None
        )

    @property
    def missing(self) -> tuple[str, ...]:
        """The whole table, or single volumes in it."""
        return (
            (self.path,)
            if not self.bands
            else tuple(b.volume.key for b in self.bands if b.volume.value is None)
        )

    @property
    def edges_mm(self) -> tuple[float, ...]:
        """Where the amount jumps."""
        lowest = self.bands[0].lower if self.bands else None
        uppers = [band.upper for band in self.bands if band.upper is not None]
        return tuple(to_mm(edge) for edge in ([lowest] if lowest is not None else []) + uppers)

    def derive_volumes(
        self, lesions: Sequence[DoseLesion], *, concentration: Evidence | None
    ) -> tuple[RuleVolume, ...]:
        """Look each lesion up in the table."""
        return tuple(self._look_up(lesion) for lesion in lesions)

    def _look_up(self, lesion: DoseLesion) -> RuleVolume:
        longest_mm = lesion.longest_diameter_mm
        for band in self.bands:
            if band.holds(longest_mm):
                used = tuple(item for item in (band.lower, band.upper, band.volume) if item is not None)
                return RuleVolume(
                    lesion_id=lesion.lesion_id,
                    volume=to_decimal(band.volume.number),
                    rule=f"longest diameter {longest_mm:.1f} mm ({band}): up to {band.volume.number:g} mL",
                    used=used,
                )
        first = self.bands[0]
        if first.is_below(longest_mm):
            return RuleVolume(
                lesion_id=lesion.lesion_id,
                volume=Decimal(0),
                rule=f"longest diameter {longest_mm:.1f} mm: below the first band ({first})",
                used=(first.lower,) if first.lower is not None else (),
                reason="smaller than the smallest lesion of the size table",
            )
        raise NotSetError(
            expected=f"a band that holds a longest diameter of {longest_mm:.1f} mm",
            given=f"a table that ends at {self.bands[-1]}",
            where=self.path,
            action="add the band to the protocol file, or mark the lesion not injectable",
        )


def _read_band(row: Section) -> Band:
    band = Band(
        lower=row.number("lower", units=("cm", "mm")),
        upper=row.number("upper", units=("cm", "mm")),
        volume=row.required_number("volume", units=("ml",)),
    )
    for key, edge, permitted in (("lower", band.lower, (">", ">=")), ("upper", band.upper, ("<", "<="))):
        if edge is None:
            continue
        if edge.value is None:
            raise row.refuse(
                key, expected="a diameter", given="not set", action='write bands = "not set" instead'
            )
        if edge.edge not in permitted:
            raise row.refuse(key, expected=f"edge {' or '.join(permitted)}", given=f"edge '{edge.edge}'")
    if band.lower is not None and band.upper is not None and to_mm(band.lower) >= to_mm(band.upper):
        raise row.refuse(
            "upper", expected=f"more than {to_mm(band.lower):g} mm", given=f"{to_mm(band.upper):g} mm"
        )
    row.finish()
    return band


def _check_joint(band: Band, following: Band, *, section: Section, number: int) -> None:
    """Refuse gaps, overlaps and volumes that fall with size."""
    where = f"{section.where} [{section.dotted('bands')}[{number}]]"
    if band.upper is None or following.lower is None:
        raise ProtocolError(
            expected="inner bands closed on both sides",
            given="an open edge between two bands",
            where=where,
            action="give 'upper' of the smaller and 'lower' of the larger band",
        )
    left_mm, right_mm = to_mm(band.upper), to_mm(following.lower)
    if left_mm != right_mm or _JOINS[band.upper.edge] != following.lower.edge:
        kind = "overlap" if right_mm < left_mm or (left_mm == right_mm and band.upper.edge == "<=") else "gap"
        raise ProtocolError(
            expected=f"a band from {_JOINS[band.upper.edge]} {band.upper.number:g} {band.upper.unit}",
            given=f"{following.lower.edge} {following.lower.number:g} {following.lower.unit}: {kind}",
            where=where,
            action="let every diameter lie in exactly one band, rows from small to large",
        )
    smaller, larger = band.volume.value, following.volume.value
    if isinstance(smaller, int | float) and isinstance(larger, int | float) and larger < smaller:
        raise ProtocolError(
            expected=f"at least {smaller:g} mL: a larger lesion never gets less",
            given=f"{larger:g} mL",
            where=where,
            action="check the volumes and the order of the rows",
        )


def _compare(longest_diameter_mm: float, edge: Evidence) -> bool:
    limit_mm = to_mm(edge)
    match edge.edge:
        case ">":
            return longest_diameter_mm > limit_mm
        case ">=":
            return longest_diameter_mm >= limit_mm
        case "<":
            return longest_diameter_mm < limit_mm
        case _:
            return longest_diameter_mm <= limit_mm
