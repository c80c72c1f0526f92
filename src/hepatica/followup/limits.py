"""How sums are compared with limits: inclusive, with a named tolerance."""

from __future__ import annotations

from typing import Final

SUM_TOLERANCE: Final = 1e-6
"""Slack of every comparison with a limit, in the unit of the sum (mm, or mm3 for volumes).

Limits such as 70 % of 0.1 + 0.2 cannot be met exactly in binary floating point; no instrument resolves 1e-6
mm.
"""
RELATIVE_TOLERANCE: Final = 1e-12
"""Slack for large sums: a few units in the last place of a double."""


def slack_of(limit: float) -> float:
    """Return the tolerance of a comparison with ``limit``, in its unit."""
    return max(SUM_TOLERANCE, RELATIVE_TOLERANCE * abs(limit))


def is_at_most(value: float, limit: float) -> bool:
    """Whether ``value <= limit``, the limit itself included in spite of rounding.

    Examples
    --------
    >>> is_at_most(0.7 * 30.000000001, 21.0)
    True
    """
    return value <= limit + slack_of(limit)


def is_at_least(value: float, limit: float) -> bool:
    """Whether ``value >= limit``, the limit itself included in spite of rounding.

    Examples
    --------
    >>> 1.2 * 35.0 <= 42.0, is_at_least(42.0, 1.2 * 35.0)
    (True, True)
    """
    return value >= limit - slack_of(limit)


def is_below(value: float, limit: float) -> bool:
    """Whether ``value < limit`` by more than the tolerance."""
    return not is_at_least(value, limit)


def is_zero(value: float) -> bool:
    """Whether a size is 0 within the tolerance."""
    return abs(value) <= SUM_TOLERANCE
