"""Which needle to search with, and which to take to the table."""

from __future__ import annotations

from hepatica.core.evidence import EvidenceTable
from hepatica.planning.path.needles import find_needle, read_needles
from hepatica.planning.path.values import Needle


def choose_needle(
    name: str = "", *, limits: EvidenceTable, needles: tuple[Needle, ...] | None = None
) -> Needle:
    """Return the needle the search works with.

    A named needle limits the search by its own length. Without a name the thinnest shaft is taken in the shortest
    length that reaches the longest permitted path, so that only the clinical limits decide; `fit_needle` then
    picks the length for the path found.

    Parameters
    ----------
    name
        Name in the needle table; empty for the default.
    limits
        Path limits; ``length_max`` is used.
    needles
        Needles to choose from; the packaged table where None.

    Raises
    ------
    NotFoundError
        If no needle has that name.

    Examples
    --------
    >>> from hepatica.planning.path.scene import read_path_limits
    >>> choose_needle(limits=read_path_limits()).gauge
    22
    """
    needles = needles or read_needles()
    if name:
        return find_needle(needles, name)
    thinnest = min(needle.outer_diameter_mm for needle in needles)
    reach_mm = limits["length_max"].number
    able = sorted((n for n in needles if n.outer_diameter_mm == thinnest), key=lambda n: n.length_mm)
    reaching = [needle for needle in able if needle.length_mm - needle.hub_allowance_mm >= reach_mm]
    return reaching[0] if reaching else able[-1]


def fit_needle(needle: Needle, *, length_mm: float, needles: tuple[Needle, ...] | None = None) -> Needle:
    """Return the shortest needle with the same shaft and holes that reaches a depth with its hub outside the skin.

    Parameters
    ----------
    needle
        Needle of the search.
    length_mm
        Depth from skin to tip.
    needles
        Needles to choose from; the packaged table where None.
    """
    same = [
        other
        for other in needles or read_needles()
        if (other.outer_diameter_mm, other.holes) == (needle.outer_diameter_mm, needle.holes)
        and other.length_mm - other.hub_allowance_mm >= length_mm
    ]
    return min([*same, needle], key=lambda n: (n.length_mm, n.name))
