"""What is known of the patient and of the scan: every field may be unknown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

from hepatica.core.errors import FactsError
from hepatica.core.evidence import read_resource
from hepatica.core.findings import NotEvaluable
from hepatica.core.units import G_PER_L_PER_G_PER_DL, UMOL_PER_L_PER_MG_PER_DL_BILIRUBIN
from hepatica.planning.eligibility.schema import check_schema

MG_PER_DL_PER_G_PER_L: Final = 100.0
PER_UL_PER_1E9_PER_L: Final = 1000.0

_FACTORS: Final[Mapping[tuple[str, str, str], float]] = {
    ("bilirubin", "mg_per_dl", "umol_per_l"): UMOL_PER_L_PER_MG_PER_DL_BILIRUBIN,
    ("bilirubin", "umol_per_l", "mg_per_dl"): 1 / UMOL_PER_L_PER_MG_PER_DL_BILIRUBIN,
    ("albumin", "g_per_dl", "g_per_l"): G_PER_L_PER_G_PER_DL,
    ("haemoglobin", "g_per_dl", "g_per_l"): G_PER_L_PER_G_PER_DL,
    ("fibrinogen", "g_per_l", "mg_per_dl"): MG_PER_DL_PER_G_PER_L,
    ("platelets", "1e3_per_ul", "1e9_per_l"): 1.0,
    ("platelets", "per_ul", "1e9_per_l"): 1 / PER_UL_PER_1E9_PER_L,
}
"""Factor by laboratory value, unit given and unit wanted; bilirubin needs its molar mass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabValue:
    """One laboratory value.

    Parameters
    ----------
    name
        ``inr``, ``platelets``, ``fibrinogen``, ``bilirubin``, ``albumin`` or ``haemoglobin``.
    value, unit
        As given.
    date
        ISO date; empty where not given.
    """

    name: str
    value: float
    unit: str
    date: str = ""

    def value_in(self, unit: str) -> float:
        """Return the value in another unit.

        Raises
        ------
        FactsError
            If no conversion is known.

        Examples
        --------
        >>> LabValue(name="bilirubin", value=1.0, unit="mg_per_dl").value_in("umol_per_l")
        17.104
        """
        if unit == self.unit:
            return self.value
        try:
            return self.value * _FACTORS[(self.name, self.unit, unit)]
        except KeyError:
            raise FactsError(
                expected=f"{self.name} in a unit that converts to {unit}",
                given=self.unit,
                where="patient facts, labs",
            ) from None

    def __str__(self) -> str:
        """Return value, unit and date."""
        return f"{self.value:g} {self.unit} ({self.date or 'date not given'})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ViralLoad:
    """Hepatitis virus in the blood: ``undetectable``, ``detectable`` or ``never_infected``."""

    state: str
    iu_per_ml: float | None = None
    date: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drug:
    """A present drug and its class."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientFacts:
    """What is known of the patient; None means unknown.

    Parameters
    ----------
    age_years, ecog, life_expectancy_months
        Numbers.
    pregnancy
        ``pregnant``, ``not_pregnant`` or ``not_applicable``.
    immune_state
        ``competent`` or ``compromised``.
    chronic_liver_disease
        Whether the separate bleeding limits apply.
    cirrhosis
        Whether the liver is cirrhotic: it decides which tissue the spread of an injection meets.
    ascites, encephalopathy
        Child-Pugh items.
    hepatitis_b, hepatitis_c
        Viral loads.
    drugs, allergies
        Empty where there is none; None where nobody asked.
    labs
        Laboratory values by name.

    Examples
    --------
    >>> facts = PatientFacts.from_mapping({"age_years": 61, "labs": {"inr": {"value": 1.1, "unit": "ratio"}}})
    >>> facts.age_years, facts.ecog, str(facts.labs["inr"])
    (61, None, '1.1 ratio (date not given)')
    """

    age_years: int | None = None
    ecog: int | None = None
    life_expectancy_months: float | None = None
    pregnancy: str | None = None
    immune_state: str | None = None
    chronic_liver_disease: bool | None = None
    cirrhosis: bool | None = None
    ascites: str | None = None
    encephalopathy: str | None = None
    hepatitis_b: ViralLoad | None = None
    hepatitis_c: ViralLoad | None = None
    drugs: tuple[Drug, ...] | None = None
    allergies: tuple[str, ...] | None = None
    labs: Mapping[str, LabValue] = field(default_factory=dict)

    @classmethod
    def from_mapping(cls, document: Any) -> PatientFacts:
        """Read a parsed facts file.

        Parameters
        ----------
        document
            Parsed JSON that follows ``facts.schema.json``.

        Raises
        ------
        FactsError
            At the first place that does not; texts of the file are not repeated in the message.
        """
        schema = read_facts_schema()
        check_schema(document, schema, root=schema, path="")
        labs = {name: LabValue(name=name, **entry) for name, entry in document.get("labs", {}).items()}
        drugs, allergies = document.get("drugs"), document.get("allergies")
        same_name = (
            "age_years", "ecog", "life_expectancy_months", "pregnancy", "immune_state",
            "chronic_liver_disease", "cirrhosis", "ascites", "encephalopathy",
        )  # fmt: skip
        return cls(
            **{name: document[name] for name in same_name if name in document},
            hepatitis_b=_read_viral_load(document.get("hepatitis_b")),
            hepatitis_c=_read_viral_load(document.get("hepatitis_c")),
            drugs=None
            if drugs is None
            else tuple(Drug(name=item["name"], kind=item["class"]) for item in drugs),
            allergies=None if allergies is None else tuple(allergies),
            labs=labs,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ScanFacts:
    """What the scan says.

    Parameters
    ----------
    tumour_fraction, tumour_fraction_uncertainty
        Share of the liver that is tumour, 0 to 1, and its one-sided uncertainty.
    liver_complete
        False where the scan cuts the liver off: the share is then an upper bound.
    macrovascular_invasion
        Tumour in a large vessel: True, False or None for not judged.
    bile_duct_compression
        A lesion pressing on the bile ducts: True, False or None for not judged.
    lesion_count
        Number of lesions.
    largest_diameter_mm, largest_diameter_uncertainty_mm
        Longest diameter of the largest lesion and its uncertainty; None where there is none.
    """

    tumour_fraction: float | NotEvaluable
    tumour_fraction_uncertainty: float | NotEvaluable
    liver_complete: bool = True
    macrovascular_invasion: bool | None = None
    bile_duct_compression: bool | None = None
    lesion_count: int = 0
    largest_diameter_mm: float | None = None
    largest_diameter_uncertainty_mm: float = 0.0


@cache
def read_facts_schema() -> Mapping[str, Any]:
    """Return the published JSON Schema (2020-12) of a facts file."""
    schema: Mapping[str, Any] = json.loads(read_resource("hepatica.planning.tables", "facts.schema.json"))
    return schema


def _read_viral_load(raw: Mapping[str, Any] | None) -> ViralLoad | None:
    if raw is None:
        return None
    return ViralLoad(state=raw["viral_load"], iu_per_ml=raw.get("iu_per_ml"), date=raw.get("date", ""))
