"""Marks that the pictures of a trial share: looks of a best response, and the word for simulated data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hepatica.adapters.reports import palette

SIMULATED: Final = "SIMULATED DATA"
BEST_STYLES: Final[Mapping[str, tuple[str, str, Any]]] = {
    "CR": ("#009E73", "////", "-"),
    "PR": ("#56B4E9", "", "-"),
    "SD": ("#C8C8C8", "....", (0, (5, 2))),
    "PD": ("#D55E00", "xxxx", (0, (1, 1.2))),
    "": ("#FFFFFF", "", (0, (3, 1, 1, 1))),
}
"""Colour, hatch and line of each best response; the empty one for not evaluable."""


def stamp(figure: Any, *, simulated: bool) -> None:
    """Write in the corner that the data are simulated, where they are."""
    if simulated:
        figure.text(
            0.998, 0.998, SIMULATED, ha="right", va="top", fontsize=7, fontweight="bold", color=palette.INK
        )


def to_best(word: str) -> str:
    """Return the class of a best response."""
    if word == "NON-CR/NON-PD":
        return "SD"
    return word if word in BEST_STYLES else ""
