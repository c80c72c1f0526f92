"""What each hard limit costs: how much skin it closes, and how much it closes alone."""

from __future__ import annotations

import numpy as np

from hepatica.core.geometry import FloatArray
from hepatica.core.units import MM_PER_CM
from hepatica.planning.path.pairs import Pairs, to_limit_names
from hepatica.planning.path.scene import Scene
from hepatica.planning.path.values import SkinBlock


def derive_blocks(pairs: Pairs, scene: Scene) -> tuple[SkinBlock, ...]:
    """Return what each limit costs, the largest share first; limits that cost nothing are left out.

    Shares are areas of the examined skin. A limit blocks a skin point *alone* if no path from the point is
    allowed, but some path breaks nothing else: so much skin would be freed without it. It *blocks* a point if it
    blocks it alone, or if the paths from there to all tips break it. Paths that break two limits of length, tilt or
    entry are not traced further, nor is the capsule angle measured of paths that two limits close, so the blocked
    share is a lower bound there; shares blocked alone are complete.

    Parameters
    ----------
    pairs
        Judged pairs of one lesion.
    scene
        Scene they were judged in, on its skin sample.
    """
    areas = scene.skin_sample.areas_mm2
    if len(areas) == 0:
        return ()
    broken = pairs.broken.reshape(len(areas), -1)
    closed = (broken != 0).all(axis=1)
    blocks = []
    for name, bits in to_limit_names(scene).items():
        alone = closed & ((broken != 0) & ((broken & ~bits) == 0)).any(axis=1)
        blocked = ((broken & bits) != 0).all(axis=1) | alone
        if blocked.any():
            blocks.append(
                SkinBlock(
                    limit=name,
                    blocked_fraction=_share(areas, blocked),
                    only_fraction=_share(areas, alone),
                    only_cm2=float(areas[alone].sum()) / MM_PER_CM**2,
                )
            )
    return tuple(
        sorted(blocks, key=lambda b: (-round(b.blocked_fraction, 9), -round(b.only_fraction, 9), b.limit))
    )


def _share(areas: FloatArray, chosen: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> float:
    return float(areas[chosen].sum() / areas.sum())
