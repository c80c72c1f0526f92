"""Keyboard (Yan, Mandrekar and Yuan 2017, doi:10.1158/1078-0432.CCR-17-0220): keys as long as the target key.

As mTPI-2, but the two ends of the line that are too short for a whole key are left out. Margins that give no
whole key on one side still work: the target key then competes with the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hepatica.trials.escalation.mtpi2 import PIECE_TOLERANCE, Mtpi2, cut_pieces


@dataclass(frozen=True, kw_only=True)
class Keyboard(Mtpi2):
    """Keyboard.

    Examples
    --------
    >>> str(Keyboard(dose_count=5, target=0.3).action(12, 5))
    'de-escalate'
    """

    name: ClassVar[str] = "keyboard"

    @property
    def pieces(self) -> tuple[tuple[float, float, int], ...]:
        """Whole keys only."""
        length = self.epsilon1 + self.epsilon2
        keys = cut_pieces(self.target - self.epsilon1, self.target + self.epsilon2)
        return tuple(key for key in keys if key[1] - key[0] > length - PIECE_TOLERANCE)
