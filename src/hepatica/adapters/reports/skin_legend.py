"""What each point of a skin map is drawn as: bands of rank, undecided, or the limit that blocks it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hepatica.planning.path.limit_costs import LimitCosts
from hepatica.planning.path.skin_map import SkinClass, SkinMap

BAND_COLOURS: Final = ("#00543D", "#1E9170", "#74C5A5", "#CDEBDC")
"""Free skin from best to worst: one hue, ever lighter, so that print and colour-blind readers keep the order."""
UNDECIDED_COLOUR: Final = "#FFF3C4"
GEOMETRY_COLOUR: Final = "#C5CBD6"
PLACE_COLOUR: Final = "#D9C2B8"
CHEST_COLOUR: Final = "#CFC6D8"
BONE_COLOUR: Final = "#D9D6D0"
GUT_COLOUR: Final = "#E6DCC3"
VESSEL_COLOUR: Final = "#E6CBD0"
ORGAN_COLOUR: Final = "#D2CFA8"
RULE_COLOUR: Final = "#BFCCC4"
SCAN_COLOUR: Final = "#EFEFEF"
OTHER_COLOUR: Final = "#DADADA"
LOOKS: Final = {
    "table_side": (PLACE_COLOUR, "////"), "entry_implant_distance": (PLACE_COLOUR, "xxx"),
    "length_max": (GEOMETRY_COLOUR, "\\\\\\\\"), "needle_length": (GEOMETRY_COLOUR, "xx"),
    "tilt_max": (GEOMETRY_COLOUR, "||||"), "length_min": (GEOMETRY_COLOUR, "++"),
    "volume_face": (SCAN_COLOUR, "----"),
    "lung": (CHEST_COLOUR, "..."), "bone": (BONE_COLOUR, "xxx"), "heart": (CHEST_COLOUR, "////"),
    "stomach": (GUT_COLOUR, "xxx"), "bowel": (GUT_COLOUR, "////"), "gas": (GUT_COLOUR, "\\\\\\\\"),
    "contrast_lumen": (GUT_COLOUR, "||||"), "oesophagus": (GUT_COLOUR, "..."),
    "liver_vessel": (VESSEL_COLOUR, "||||"), "portal_vein": (VESSEL_COLOUR, "..."),
    "hepatic_vein": (VESSEL_COLOUR, "////"), "aorta": (VESSEL_COLOUR, "xxx"), "vena_cava": (VESSEL_COLOUR, "++"),
    "liver_before_lesion_min": (RULE_COLOUR, "...."), "capsule_angle_min": (RULE_COLOUR, "----"),
    "other_lesion": (RULE_COLOUR, "xxx"), "prior_track_distance": (RULE_COLOUR, "||||"),
}  # fmt: skip
"""Colour by family and hatch by limit, the same in every picture; other organs take what is left."""
ORGAN_HATCHES: Final = ("////", "xxx", "...", "||||", "----", "++")
MOST_NAMED: Final = 8
LEAST_SHARE: Final = 0.01
"""A limit that names less of the skin than this is drawn among the others."""
LIMIT_WORDS: Final = {
    "length_max": "too far",
    "length_min": "too near",
    "needle_length": "needle too short",
    "tilt_max": "too steep",
    "table_side": "on the table",
    "entry_implant_distance": "near an implant",
    "prior_track_distance": "near an earlier track",
    "volume_face": "end of the scan",
    "liver_before_lesion_min": "too little liver before the lesion",
    "capsule_angle_min": "too flat to the capsule",
    "other_lesion": "through another lesion",
    "unlabelled_air_max": "unlabelled air",
}
FIRST_BLOCKED: Final = len(BAND_COLOURS) + 1
"""Code of the first limit; before it come the bands and *undecided*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LegendEntry:
    """One look of the map: its code, words, how much skin it covers, colour and hatch."""

    code: int
    words: str
    area_cm2: float
    colour: str
    hatch: str


def say_limit(name: str) -> str:
    """Return a limit in few words.

    Examples
    --------
    >>> say_limit("table_side"), say_limit("liver_vessel")
    ('on the table', 'liver vessel')
    """
    return LIMIT_WORDS.get(name, name.replace("_", " "))


def find_limit_numbers(skin_map: SkinMap, costs: LimitCosts) -> NDArray[np.int64]:
    """Return for each blocked skin point the number in ``costs.limits`` that blocks it; -1 elsewhere.

    Taken from the nearest blocked point of the sample.
    """
    from scipy.spatial import cKDTree

    result = np.full(len(skin_map.classes), -1, dtype=np.int64)
    blocked = skin_map.select(SkinClass.BLOCKED)
    judged = np.flatnonzero(costs.nearest_limit >= 0)
    if blocked.any() and len(judged):
        tree = cKDTree(costs.sample.points_lps_mm[judged])
        near = tree.query(skin_map.skin.points_lps_mm[blocked])[1]
        result[blocked] = costs.nearest_limit[judged[near]]
    return result


def derive_codes(
    skin_map: SkinMap, costs: LimitCosts | None
) -> tuple[NDArray[np.int64], tuple[LegendEntry, ...]]:
    """Return the (n,) code of every skin point, and what the codes mean; only what is there, in order of code.

    Parameters
    ----------
    skin_map, costs
        Map, and limits that name blocked skin; without these it is drawn as one.
    """
    bands = len(BAND_COLOURS)
    areas = skin_map.skin.areas_mm2 / 100.0
    codes = np.full(len(areas), bands, dtype=np.int64)
    free = skin_map.select(SkinClass.FREE)
    rank = skin_map.derive_rank_cm2()
    whole = float(areas[free].sum())
    codes[free] = np.minimum((rank[free] / max(whole, 1e-9) * bands).astype(int), bands - 1)
    blocked = skin_map.select(SkinClass.BLOCKED)
    named, limits = _name_blocked(skin_map, costs, areas)
    looks = derive_looks(limits)
    codes[blocked] = FIRST_BLOCKED + named[blocked]
    entries = [
        LegendEntry(
            code=code,
            words=_say_band(code),
            area_cm2=float(areas[codes == code].sum()),
            colour=BAND_COLOURS[code] if code < bands else UNDECIDED_COLOUR,
            hatch="",
        )
        for code in range(bands + 1)
    ]
    for number, limit in enumerate([*limits, ""]):
        colour, hatch = looks.get(limit, (OTHER_COLOUR, ""))
        entries.append(
            LegendEntry(
                code=FIRST_BLOCKED + number,
                words=say_limit(limit) if limit else ("other limits" if costs else "closed"),
                area_cm2=float(areas[codes == FIRST_BLOCKED + number].sum()),
                colour=colour,
                hatch=hatch,
            )
        )
    return codes, tuple(entry for entry in entries if entry.area_cm2 > 0)


def _say_band(code: int) -> str:
    if code == len(BAND_COLOURS):
        return "not decided"
    return ("open: best quarter", "open: second quarter", "open: third quarter", "open: last quarter")[code]


def _name_blocked(
    skin_map: SkinMap, costs: LimitCosts | None, areas: np.ndarray
) -> tuple[NDArray[np.int64], list[str]]:
    """Return the place of each point's limit among those named; what is rare or unnamed comes after the last."""
    if costs is None:
        return np.zeros(len(areas), dtype=np.int64), []
    numbers = find_limit_numbers(skin_map, costs)
    covered = np.bincount(numbers[numbers >= 0], weights=areas[numbers >= 0], minlength=len(costs.limits))
    large = [n for n in np.argsort(-covered, kind="stable") if covered[n] >= LEAST_SHARE * areas.sum()]
    large = large[:MOST_NAMED]
    place = np.full(len(costs.limits) + 1, len(large), dtype=np.int64)
    for position, n in enumerate(large):
        place[n] = position
    return place[numbers], [costs.limits[n].limit for n in large]


def derive_looks(limits: Sequence[str]) -> dict[str, tuple[str, str]]:
    """Return colour and hatch of each limit; those of limits without a look of their own depend on their order.

    Examples
    --------
    >>> derive_looks(["lung", "spleen"])
    {'lung': ('#CFC6D8', '...'), 'spleen': ('#D2CFA8', '////')}
    """
    looks, spare = {}, 0
    for limit in limits:
        if limit in LOOKS:
            looks[limit] = LOOKS[limit]
            continue
        looks[limit] = (ORGAN_COLOUR, ORGAN_HATCHES[spare % len(ORGAN_HATCHES)])
        spare += 1
    return looks
