"""Hepatica: image-guided intratumoral immunotherapy of liver tumours, from the scan to the plan.

The names below are in the order of the patient's journey::

    scan -> anatomy -> lesions -> plan (dose, path) -> files

They are loaded when first used, so that ``import hepatica`` costs nothing. Research use, not a medical device.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hepatica.anatomy.assemble import assemble_anatomy as assemble_anatomy
    from hepatica.anatomy.derive import derive_anatomy as derive_anatomy
    from hepatica.bootstrap import make_plan_ports as make_plan_ports
    from hepatica.bootstrap import read_image as read_image
    from hepatica.bootstrap import read_segments as read_segments
    from hepatica.core.position import derive_gravity_lps as derive_gravity_lps
    from hepatica.lesions.describe import describe_lesions as describe_lesions
    from hepatica.planning.dose.allocate import allocate_dose as allocate_dose
    from hepatica.planning.dose.protocol import read_protocol as read_protocol
    from hepatica.planning.path.deposits import place_deposits as place_deposits
    from hepatica.planning.path.scene import build_scene as build_scene
    from hepatica.planning.path.search import plan_lesion_path as plan_lesion_path
    from hepatica.workflows.plan_injection import plan_injection as plan_injection
    from hepatica.workflows.request import PlanRequest as PlanRequest

_HOME = {
    "read_image": "hepatica.bootstrap",
    "read_segments": "hepatica.bootstrap",
    "assemble_anatomy": "hepatica.anatomy.assemble",
    "derive_anatomy": "hepatica.anatomy.derive",
    "describe_lesions": "hepatica.lesions.describe",
    "read_protocol": "hepatica.planning.dose.protocol",
    "allocate_dose": "hepatica.planning.dose.allocate",
    "derive_gravity_lps": "hepatica.core.position",
    "build_scene": "hepatica.planning.path.scene",
    "plan_lesion_path": "hepatica.planning.path.search",
    "place_deposits": "hepatica.planning.path.deposits",
    "PlanRequest": "hepatica.workflows.request",
    "make_plan_ports": "hepatica.bootstrap",
    "plan_injection": "hepatica.workflows.plan_injection",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    """Load a public name from its room."""
    if name not in _HOME:
        raise AttributeError(f"module 'hepatica' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    """List the public names."""
    return sorted(_HOME)
