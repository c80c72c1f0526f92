"""What tissue lets through: classes, ranges as evidence, and one choice of numbers within them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from functools import cache
from typing import Final

from hepatica.core.errors import InputError
from hepatica.core.evidence import Evidence, EvidenceTable, read_evidence_table

TABLES: Final = "hepatica.planning.tables"
TISSUE_TABLE: Final = "spread_tissue.toml"
LIMITS_TABLE: Final = "spread_limits.toml"

MM2_PER_KPA_S_PER_M2_PER_PA_S: Final = 1e9
"""1 m2 = 1e6 mm2 and 1 Pa = 1e-3 kPa."""
KPA_PER_MMHG: Final = 0.133322
PER_KPA_S_PER_PER_PA_S: Final = 1e3
S_PER_DAY: Final = 86400.0
MM3_PER_S_PER_ML_PER_MIN: Final = 1000.0 / 60.0


class SpreadTissue(IntEnum):
    """Class of a voxel; the number is what a class array holds."""

    OUTSIDE = 0
    """Not liver: nothing flows into it through tissue."""
    VIABLE = 1
    """Living tumour."""
    NECROSIS = 2
    """Dead tumour."""
    LIVER = 3
    """Liver without cirrhosis."""
    CIRRHOSIS = 4
    """Cirrhotic liver."""
    VESSEL = 5
    """Lumen of a labelled vessel: its intact wall lets nothing through; a cleft that reaches it empties into it."""
    CAPSULE = 6
    """Liver capsule: a wall; a cleft or track that reaches it spills."""


POROUS: Final = (SpreadTissue.VIABLE, SpreadTissue.NECROSIS, SpreadTissue.LIVER, SpreadTissue.CIRRHOSIS)
TUMOUR: Final = (SpreadTissue.VIABLE, SpreadTissue.NECROSIS)
LIVER_TISSUE: Final = (SpreadTissue.LIVER, SpreadTissue.CIRRHOSIS)
LOGARITHMIC: Final = frozenset({"conductivity", "decay", "gap"})
"""Quantities known to a factor only: drawn evenly in the logarithm."""
FACTORS: Final[Mapping[str, float]] = {
    "m2_per_pa_s": MM2_PER_KPA_S_PER_M2_PER_PA_S,
    "mmhg": KPA_PER_MMHG,
    "per_pa_s": PER_KPA_S_PER_PER_PA_S,
    "pa_s": 1e-3,
    "per_day": 1 / S_PER_DAY,
    "kpa": 1.0,
    "fraction": 1.0,
    "ratio": 1.0,
}
"""From a table's unit to this room's millimetre, kilopascal and second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertainInput:
    """One uncertain number with the evidence of both ends.

    Parameters
    ----------
    name
        For example ``viable_conductivity``.
    low, high
        Ends of the range.
    """

    name: str
    low: Evidence
    high: Evidence

    def __post_init__(self) -> None:
        """Refuse a range that is no range."""
        if self.low.unit != self.high.unit or self.low.number > self.high.number:
            raise InputError(
                expected="two ends in one unit, the lower first",
                given=f"{self.low.number} {self.low.unit} and {self.high.number} {self.high.unit}",
                where=f"table {TISSUE_TABLE}, '{self.name}'",
                action="correct the table",
            )

    @property
    def fixed(self) -> bool:
        """Whether both ends are the same number."""
        return self.low.number == self.high.number

    @property
    def logarithmic(self) -> bool:
        """Whether the range is drawn evenly in the logarithm."""
        return self.name.rsplit("_", 1)[-1] in LOGARITHMIC and self.low.number > 0

    def take(self, share: float) -> float:
        """Return the value a share (0 to 1) of the way through the range, in mm, kPa and s.

        Examples
        --------
        >>> round(read_uncertain_inputs()["liver_shear_modulus"].take(0.5), 3)
        2.25
        """
        if not 0.0 <= share <= 1.0:
            raise InputError(expected="a share from 0 to 1", given=f"{share}", where=self.name)
        low, high = self.low.number, self.high.number
        value = low * (high / low) ** share if self.logarithmic else low + (high - low) * share
        return float(value * FACTORS[self.low.unit])


def derive_uncertain_inputs(table: EvidenceTable) -> Mapping[str, UncertainInput]:
    """Pair the ``_low`` and ``_high`` entries of a table, in file order."""
    names = [entry.key.removesuffix("_low") for entry in table if entry.key.endswith("_low")]
    return {
        name: UncertainInput(name=name, low=table[f"{name}_low"], high=table[f"{name}_high"])
        for name in names
    }


@cache
def read_uncertain_inputs() -> Mapping[str, UncertainInput]:
    """Return the shipped ranges by name."""
    return derive_uncertain_inputs(read_evidence_table(TABLES, TISSUE_TABLE))


def read_limits() -> EvidenceTable:
    """Return the shipped limits of validity."""
    return read_evidence_table(TABLES, LIMITS_TABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class TissueValues:
    """Numbers of one porous class.

    Parameters
    ----------
    conductivity_mm2_per_kpa_s
        Hydraulic conductivity K, at least 0; 0 lets nothing through.
    porosity_fraction
        Share of the tissue's volume that particles can enter, above 0.
    interstitial_pressure_kpa
        Pressure at which exchange with vessels rests.
    shear_modulus_kpa
        Stiffness G, above 0.
    exchange_per_kpa_s
        Fluid lost to blood and lymph for each unit of pressure above rest.
    reflection_fraction
        Share of particles held back by vessel walls.
    """

    conductivity_mm2_per_kpa_s: float
    porosity_fraction: float
    interstitial_pressure_kpa: float
    shear_modulus_kpa: float
    exchange_per_kpa_s: float
    reflection_fraction: float

    def __post_init__(self) -> None:
        """Refuse numbers no tissue has."""
        wrong = (
            self.conductivity_mm2_per_kpa_s < 0
            or not 0 < self.porosity_fraction <= 1
            or self.shear_modulus_kpa <= 0
            or self.exchange_per_kpa_s < 0
            or not 0 <= self.reflection_fraction <= 1
        )
        if wrong:
            raise InputError(
                expected="K >= 0, porosity in (0, 1], G > 0, exchange >= 0, reflection in [0, 1]",
                given=f"{self}",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadParameters:
    """One choice of every uncertain input; fields as the entries of the table ``spread_tissue``.

    Parameters
    ----------
    tissues
        Numbers by porous class.
    stiffness_ratio
        Aggregate modulus H over shear modulus G.
    strain_exponent
        M of ``K = K0 exp(M p / H)``.
    sieving_fraction
        Particle speed over fluid speed.
    threshold_pressure_kpa
        Excess pressure below which no flow starts in viable tumour.
    cavitation_ratio
        Limit of the tip's excess pressure over G.
    cleft_pressure_fraction
        Pressure in an open cleft over that limit.
    track_gap_fraction
        Gap around the needle over the one elasticity alone would open.
    needle_prestress_kpa
        Pressure with which tissue grips the needle; below it no gap opens.
    decay_per_s
        Loss of free particles.
    viscosity_kpa_s
        Viscosity of the injected fluid.
    """

    tissues: Mapping[SpreadTissue, TissueValues]
    stiffness_ratio: float
    strain_exponent: float
    sieving_fraction: float
    threshold_pressure_kpa: float
    cavitation_ratio: float
    cleft_pressure_fraction: float
    track_gap_fraction: float
    needle_prestress_kpa: float
    decay_per_s: float
    viscosity_kpa_s: float


def derive_parameters(
    shares: Mapping[str, float] | None = None, *, inputs: Mapping[str, UncertainInput] | None = None
) -> SpreadParameters:
    """Choose every input at a share of its range; the middle (0.5) where no share is given.

    Parameters
    ----------
    shares
        Share, 0 to 1, by input name.
    inputs
        Ranges; the shipped ones by default.

    Raises
    ------
    InputError
        If a share names no input, or lies outside 0 to 1.

    Examples
    --------
    >>> stiff = derive_parameters({"viable_shear_modulus": 1.0})
    >>> stiff.tissues[SpreadTissue.VIABLE].shear_modulus_kpa
    10.0
    """
    inputs = read_uncertain_inputs() if inputs is None else inputs
    shares = shares or {}
    unknown = sorted(set(shares) - set(inputs))
    if unknown:
        raise InputError(expected=f"one of {', '.join(inputs)}", given=f"'{unknown[0]}'")
    value = {name: entry.take(shares.get(name, 0.5)) for name, entry in inputs.items()}
    tissues = {
        tissue: TissueValues(
            conductivity_mm2_per_kpa_s=value[f"{word}_conductivity"],
            porosity_fraction=value[f"{word}_porosity"],
            interstitial_pressure_kpa=value[f"{word}_interstitial_pressure"],
            shear_modulus_kpa=value[f"{word}_shear_modulus"],
            exchange_per_kpa_s=value[f"{word}_exchange"],
            reflection_fraction=value[f"{word}_reflection"],
        )
        for tissue in POROUS
        for word in [tissue.name.lower()]
    }
    return SpreadParameters(
        tissues=tissues,
        stiffness_ratio=value["stiffness_ratio"],
        strain_exponent=value["strain_exponent"],
        sieving_fraction=value["sieving"],
        threshold_pressure_kpa=value["threshold_pressure"],
        cavitation_ratio=value["cavitation"],
        cleft_pressure_fraction=value["cleft_pressure"],
        track_gap_fraction=value["track_gap"],
        needle_prestress_kpa=value["needle_prestress"],
        decay_per_s=value["decay"],
        viscosity_kpa_s=value["viscosity"],
    )
