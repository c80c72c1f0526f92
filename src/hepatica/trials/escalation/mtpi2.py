"""mTPI-2 (Guo et al. 2017, doi:10.1016/j.cct.2017.04.006): pieces as long as the target interval.

Posterior under Beta(1, 1). Pieces of length e1 + e2 run down and up from the target interval; the end pieces
may be shorter and count by unit mass. The piece with the largest unit mass decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from hepatica.trials.beta_distribution import measure_beta_cdf
from hepatica.trials.design import Action
from hepatica.trials.escalation.interval import IntervalDesign
from hepatica.trials.escalation.mtpi import check_margins

PIECE_TOLERANCE: Final = 1e-9
"""End pieces shorter than this are rounding, not pieces."""


def cut_pieces(low: float, high: float) -> tuple[tuple[float, float, int], ...]:
    """Return (from, to, side) of all pieces; side is -1 below, 0 for the target interval, 1 above."""
    length = high - low
    pieces = [(low, high, 0)]
    edge = low
    while edge > PIECE_TOLERANCE:
        pieces.append((max(edge - length, 0.0), edge, -1))
        edge -= length
    edge = high
    while edge < 1.0 - PIECE_TOLERANCE:
        pieces.append((edge, min(edge + length, 1.0), 1))
        edge += length
    return tuple(pieces)


@dataclass(frozen=True, kw_only=True)
class Mtpi2(IntervalDesign):
    """mTPI-2.

    Parameters
    ----------
    epsilon1, epsilon2
        Margins below and above the target.

    Examples
    --------
    >>> str(Mtpi2(dose_count=5, target=0.3).action(6, 3))
    'de-escalate'
    """

    name: ClassVar[str] = "mtpi2"
    epsilon1: float = 0.05
    epsilon2: float = 0.05

    def __post_init__(self) -> None:
        """Refuse impossible settings."""
        super().__post_init__()
        check_margins(self.target, epsilon1=self.epsilon1, epsilon2=self.epsilon2, where=self.name)

    @property
    def pieces(self) -> tuple[tuple[float, float, int], ...]:
        """The pieces that compete."""
        return cut_pieces(self.target - self.epsilon1, self.target + self.epsilon2)

    def strongest(self, n: int, x: int) -> tuple[float, float, int]:
        """Return the piece with the largest unit mass; a tie goes to the lower dose."""
        a, b = self.prior[0] + x, self.prior[1] + n - x
        best, best_mass = self.pieces[0], -1.0
        for piece in sorted(self.pieces, key=lambda item: -item[2]):
            low, high, _ = piece
            mass = (measure_beta_cdf(high, a=a, b=b) - measure_beta_cdf(low, a=a, b=b)) / (high - low)
            if mass > best_mass:
                best, best_mass = piece, mass
        return best

    def action(self, n: int, x: int) -> Action:
        """Follow the strongest piece."""
        side = self.strongest(n, x)[2]
        return (Action.STAY, Action.DEESCALATE, Action.ESCALATE)[side]

    def explain(self, n: int, x: int, action: Action) -> str:
        """Name the strongest piece."""
        low, high, side = self.strongest(n, x)
        where = ("the target interval", "above the target", "below the target")[side]
        return f"the strongest piece, {low:.2f} to {high:.2f}, is {where}, {action}"
