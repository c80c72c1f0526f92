"""Declared absent, but the image shows something."""

from __future__ import annotations

from dataclasses import replace

import pytest
from phantom import make_phantom

from hepatica.anatomy.declared import check_declared_against_image
from hepatica.anatomy.structures import Origin, StructureKind, StructureSource


def _with(kind, declared):
    phantom = make_phantom(spacing_mm=(8.0, 8.0, 8.0))
    source = StructureSource(kind=kind, origin=Origin.DERIVED, names=(), source="derived")
    anatomy = phantom.anatomy.with_structures([(source, phantom.lesion)])
    return replace(anatomy, declared_absent=frozenset(declared))


@pytest.mark.requirement("A-not-cleared")
@pytest.mark.parametrize(
    ("kind", "group"),
    [
        (StructureKind.GAS, "bowel"),
        (StructureKind.GAS, "stomach"),
        (StructureKind.CONTRAST_LUMEN, "heart"),
        (StructureKind.LIVER_VESSEL, "vessels"),
    ],
)
def test_a_declaration_that_the_image_speaks_against_is_a_warning(kind, group):
    findings = check_declared_against_image(_with(kind, [group]))
    assert [(f.rule, f.subject) for f in findings] == [("anatomy.declared_absent_but_seen", group)]


@pytest.mark.parametrize(("kind", "group"), [(StructureKind.GAS, "heart"), (StructureKind.GAS, "kidney")])
def test_a_declaration_that_nothing_speaks_against_is_no_finding(kind, group):
    assert check_declared_against_image(_with(kind, [group])) == ()
