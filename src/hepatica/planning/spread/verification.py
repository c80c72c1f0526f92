"""One line of the verification table: a computed number beside its exact value."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRow:
    """A case of the analytic suite.

    Parameters
    ----------
    case
        Short id, for example ``B1``.
    quantity
        What was compared, with its unit.
    expected, computed
        Exact and computed value; 0 and the error norm where a whole field was compared.
    error
        Relative error, or relative error norm of a field.
    tolerance
        Largest error allowed.
    """

    case: str
    quantity: str
    expected: float
    computed: float
    error: float
    tolerance: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the tolerance; never for NaN."""
        return self.error <= self.tolerance

    @classmethod
    def compare(
        cls, case: str, quantity: str, *, expected: float, computed: float, tolerance: float
    ) -> VerificationRow:
        """Compare one number."""
        error = abs(computed - expected) / abs(expected) if math.isfinite(computed) else math.nan
        return cls(
            case=case,
            quantity=quantity,
            expected=expected,
            computed=computed,
            error=error,
            tolerance=tolerance,
        )

    @classmethod
    def from_error(cls, case: str, quantity: str, *, error: float, tolerance: float) -> VerificationRow:
        """Record an error that is no single number's: a field's norm, or a defect that has to be 0."""
        return cls(
            case=case, quantity=quantity, expected=0.0, computed=error, error=error, tolerance=tolerance
        )

    @classmethod
    def at_least(
        cls, case: str, quantity: str, *, expected: float, computed: float, bound: float
    ) -> VerificationRow:
        """Record a number that has to reach a bound, for example an observed order; the error is the shortfall."""
        return cls(
            case=case,
            quantity=f"{quantity} (at least {bound:g})",
            expected=expected,
            computed=computed,
            error=max(0.0, bound - computed) if math.isfinite(computed) else math.nan,
            tolerance=0.0,
        )
