"""What is asked of a simulation of the spread, and what the inputs say about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hepatica.core.errors import InputError, NotSetError
from hepatica.core.evidence import Evidence, EvidenceStatus
from hepatica.planning.dose.protocol import Protocol
from hepatica.planning.eligibility.facts import PatientFacts

MOST_DRAWS: Final = 100_000
"""More would take days; a typing error."""


SLOWEST_ML_PER_MIN: Final = 1e-4
FASTEST_ML_PER_MIN: Final = 600.0
"""Beyond these a rate is a typing error, for which the model would still give a number: experiments with brain go
down to 5e-4 mL/min, and no hand pushes 10 mL/s through a fine needle."""


def _require_rate(rate_ml_per_min: float, *, where: str) -> None:
    if not SLOWEST_ML_PER_MIN <= rate_ml_per_min <= FASTEST_ML_PER_MIN:
        raise InputError(
            expected=f"a rate of {SLOWEST_ML_PER_MIN:g} to {FASTEST_ML_PER_MIN:g} mL/min",
            given=f"{rate_ml_per_min:g} mL/min",
            where=where,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadRequest:
    """What is asked of a simulation.

    Parameters
    ----------
    draws
        Draws of the uncertain inputs, from 1.
    seed
        Seed of the draws, at least 0.
    rate_ml_per_min
        Rate of injection as stated by a person; None takes the protocol's.
    """

    draws: int = 100
    seed: int = 1
    rate_ml_per_min: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers no run can have."""
        if not 1 <= self.draws <= MOST_DRAWS:
            raise InputError(
                expected=f"1 to {MOST_DRAWS} draws", given=str(self.draws), where="number of draws"
            )
        if self.seed < 0:
            raise InputError(expected="a seed of at least 0", given=str(self.seed), where="--seed")
        if self.rate_ml_per_min is not None:
            _require_rate(self.rate_ml_per_min, where="--rate")

    @property
    def parameters(self) -> dict[str, Any]:
        """Everything that decides the result."""
        return {"draws": self.draws, "seed": self.seed, "rate_ml_per_min": self.rate_ml_per_min}

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> SpreadRequest:
        """Rebuild what `parameters` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError
            If it is something else.
        """
        rate = parameters["rate_ml_per_min"]
        return cls(
            draws=int(parameters["draws"]),
            seed=int(parameters["seed"]),
            rate_ml_per_min=None if rate is None else float(rate),
        )


def find_rate(request: SpreadRequest, protocol: Protocol) -> Evidence:
    """Return the rate of injection: the one stated, else the protocol's.

    Raises
    ------
    NotSetError
        If neither says one: no source read gives a rate for liver tumours.
    """
    if request.rate_ml_per_min is not None:
        return Evidence(
            key="injection.rate",
            value=request.rate_ml_per_min,
            unit="ml_per_min",
            source="stated for this run",
            status=EvidenceStatus.UNVERIFIED,
        )
    rate = protocol.injection_rate
    if rate is None or rate.value is None:
        raise NotSetError(
            expected="a rate of injection in mL/min",
            given="not set: no source read gives one, and Hepatica does not invent clinical numbers",
            where=f"protocol '{protocol.name}', injection.rate",
            action="state it with --rate, or write [injection] rate into a protocol file",
        )
    _require_rate(rate.number, where=f"protocol '{protocol.name}', injection.rate")
    return rate


def is_cirrhotic(facts: PatientFacts) -> bool | None:
    """Return what the patient facts say of cirrhosis; None where they say nothing.

    Examples
    --------
    >>> is_cirrhotic(PatientFacts(chronic_liver_disease=False)), is_cirrhotic(PatientFacts())
    (False, None)
    """
    if facts.cirrhosis is None and facts.chronic_liver_disease is False:
        return False
    return facts.cirrhosis
