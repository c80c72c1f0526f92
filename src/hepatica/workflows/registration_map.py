"""A map between two scans in a plain and compact form, which a browser can follow without a numerical library."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import ndimage

from hepatica.core.errors import SourceFormatError
from hepatica.core.geometry import BoolArray, FloatArray, Grid
from hepatica.imaging.deformation import DisplacementField, ScanMap
from hepatica.imaging.mask import Mask
from hepatica.imaging.registration import rasterise

FORMAT: Final = "hepatica-registration-map-1"
UNIT_MM: Final = 0.01
"""Finest step of a displacement: far below what a registration knows."""
STEPS: Final = (4, 3, 2)
"""Every n-th node of the field that was found, coarse first."""
MAP_ERROR_MM: Final = 0.5
"""Most that a thinned field may differ inside the region; a quarter of the least uncertainty of a registration."""
LARGEST: Final = 32_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PackedMap:
    """A map as bytes.

    Parameters
    ----------
    data
        JSON; see the reference.
    error_mm
        Largest difference from the map that was found, at the nodes of its field inside the region.
    """

    data: bytes
    error_mm: float


def pack_map(scan_map: ScanMap, *, region: Mask) -> PackedMap:
    """Return a map in its compact form, thinned as far as it stays the same map inside the region.

    Parameters
    ----------
    scan_map
        From baseline to follow-up.
    region
        What was registered, on the baseline.
    """
    field, error_mm = scan_map.field, 0.0
    document: dict[str, Any] = {
        "format": FORMAT,
        "followup_from_baseline": scan_map.moving_from_fixed.tolist(),
        "field": None,
    }
    if field is not None:
        near = rasterise(region, grid=field.grid)
        document["field"], error_mm = _thin(field, near=near)
    document["map_error_mm"] = round(error_mm, 3)
    return PackedMap(data=json.dumps(document, separators=(",", ":")).encode(), error_mm=error_mm)


def unpack_map(data: bytes) -> ScanMap:
    """Return the map that some bytes hold.

    Parameters
    ----------
    data
        From `pack_map`.

    Raises
    ------
    SourceFormatError
        If they are of another form.
    """
    document = json.loads(data)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SourceFormatError(
            expected=f"a map of the form {FORMAT}", given="another document", where="registration"
        )
    held = document["field"]
    field = None if held is None else _to_field(held)
    return ScanMap(moving_from_fixed=np.array(document["followup_from_baseline"]), field=field)


def _thin(field: DisplacementField, *, near: BoolArray) -> tuple[dict[str, Any], float]:
    for step in STEPS:
        held, error_mm = _pack(field, step=step, near=near)
        if error_mm <= MAP_ERROR_MM:
            return held, error_mm
    return _pack(field, step=1, near=near)


def _pack(field: DisplacementField, *, step: int, near: BoolArray) -> tuple[dict[str, Any], float]:
    fine = field.displacement_lps_mm
    nodes = fine[::step, ::step, ::step]
    unit_mm = max(UNIT_MM, float(np.abs(nodes).max()) / LARGEST)
    numbers = np.rint(nodes / unit_mm).astype("<i2")
    lps_from_ijk = field.grid.lps_from_ijk @ np.diag([step, step, step, 1.0])
    held = {
        "shape_ijk": list(nodes.shape[:3]),
        "lps_from_ijk": lps_from_ijk.tolist(),
        "unit_mm": unit_mm,
        "displacement": base64.b64encode(np.ascontiguousarray(numbers).tobytes()).decode("ascii"),
    }
    at = (np.argwhere(near) / step).T
    there = _sample(numbers.astype(np.float64) * unit_mm, at)
    off = np.linalg.norm(there - fine[near], axis=-1)
    return held, float(off.max(initial=0.0))


def _sample(nodes: FloatArray, at: FloatArray) -> FloatArray:
    parts = [ndimage.map_coordinates(nodes[..., axis], at, order=1, mode="nearest") for axis in range(3)]
    return np.stack(parts, axis=-1)


def _to_field(held: dict[str, Any]) -> DisplacementField:
    i, j, k = (int(n) for n in held["shape_ijk"])
    numbers = np.frombuffer(base64.b64decode(held["displacement"]), dtype="<i2").reshape(i, j, k, 3)
    return DisplacementField(
        grid=Grid(shape=(i, j, k), lps_from_ijk=np.array(held["lps_from_ijk"])),
        displacement_lps_mm=(numbers * float(held["unit_mm"])).astype(np.float32),
    )
