"""The how-to page on protocols: its files are read and planned with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hepatica.core.findings import NotEvaluable
from hepatica.planning.dose.allocate import allocate_dose
from hepatica.planning.dose.protocol import Protocol, list_protocols, read_protocol
from hepatica.planning.dose.rules.rule import find_families
from hepatica.planning.dose.values import DoseLesion

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "write-a-protocol.md"


def example(name: str) -> bytes:
    found = re.search(rf"<!-- test: {name} -->\n```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S)
    assert found is not None
    return found.group(1).encode()


def lesion(name: str, longest_mm: float, volume_ml: float) -> DoseLesion:
    return DoseLesion(lesion_id=name, longest_diameter_mm=longest_mm, volume_ml=volume_ml, is_new=False)


@pytest.mark.requirement("A-dose-page")
def test_the_page_shows_how_the_liver_escalation_is_completed() -> None:
    protocol = Protocol.from_toml(example("extends"), where="page")
    allocation = allocate_dose([lesion("L1", 30, 10.0), lesion("L2", 51, 50.0)], protocol=protocol, visit=1)
    assert {i.lesion_id: i.volume_ml for i in allocation.injections} == {"L2": 4.0, "L1": 0.0}
    assert allocation.injections[0].dose_pfu == 4e7
    assert any("Hepatic Hemorrhage" in line for line in protocol.notices)


@pytest.mark.requirement("A-dose-page")
def test_the_complete_example_is_read_and_planned_with() -> None:
    protocol = Protocol.from_toml(example("complete"), where="page")
    lesions = [lesion("L1", 20, 4.0), lesion("L2", 40, 32.0)]
    first = allocate_dose(lesions, protocol=protocol, visit=1)
    assert [(i.lesion_id, i.volume_ml) for i in first.injections] == [("L2", 3.0), ("L1", 1.0)]
    later = allocate_dose(lesions, protocol=protocol, visit=2)
    assert isinstance(later.injections[0].dose, NotEvaluable)
    double = Protocol.from_toml(example("complete"), where="page", level="double")
    assert double.lesions.most is not None and double.lesions.most.value == 2


@pytest.mark.requirement("A-dose-page")
def test_the_page_names_every_packaged_protocol_and_every_family_and_no_other() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| `([a-z_]+)` \|", text, re.M))
    assert rows == {name: read_protocol(name).rule.family for name in list_protocols()}
    families = set(
        re.findall(r"^\| `([a-z_]+)` \| `(?:bands|fraction|amount|total|vials|daily|dose|margin)", text, re.M)
    )
    assert families == set(find_families())
