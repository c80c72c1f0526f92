"""What a person declared absent, held against what the image shows."""

from __future__ import annotations

from typing import Final

from hepatica.anatomy.structures import Anatomy, StructureKind
from hepatica.core.findings import Finding, Severity

_SHOWN_BY: Final = {
    "stomach": (StructureKind.GAS, StructureKind.CONTRAST_LUMEN),
    "bowel": (StructureKind.GAS, StructureKind.CONTRAST_LUMEN),
    "heart": (StructureKind.CONTRAST_LUMEN,),
    "vessels": (StructureKind.LIVER_VESSEL,),
}
"""Derived structures that stand for a group (DESIGN 10): gas and bright lumen outside what was labelled."""


def check_declared_against_image(anatomy: Anatomy) -> tuple[Finding, ...]:
    """Warn where a group is declared absent and the image shows what may be it.

    The derived structures keep their margins all the same; the declaration decides only whether the plan is cleared.

    Parameters
    ----------
    anatomy
        Structures after derivation.
    """
    return tuple(
        Finding(
            rule="anatomy.declared_absent_but_seen",
            severity=Severity.WARNING,
            message=f"'{group}' is declared absent or out of reach, but the image shows {', '.join(seen)} "
            "(derived, not reviewed) that may be it. Margins to it are kept; look again before relying on 'cleared'.",
            subject=group,
        )
        for group in sorted(anatomy.declared_absent)
        if (seen := [kind.replace("_", " ") for kind in _SHOWN_BY.get(group, ()) if anatomy.has(kind)])
    )
