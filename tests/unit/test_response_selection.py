"""Choice of targets at baseline."""

from __future__ import annotations

import pytest

from hepatica.core.findings import NotEvaluable
from hepatica.followup.records import TrackedLesion
from hepatica.followup.selection import Room, choose_targets
from hepatica.followup.words import LesionRole


def lesion(name, site="LIVER", *, node=False):
    return TrackedLesion(lesion_id=name, role=LesionRole.TARGET, site=site, is_node=node)


def choose(lesions, sizes, **keywords):
    choices = choose_targets(lesions, sizes_mm=sizes, room=Room.of_recist(), **keywords)
    return [c.lesion_id for c in choices if c.chosen], {c.lesion_id: c.reason for c in choices}


@pytest.mark.requirement("D-target-selection")
def test_at_most_two_in_one_organ_the_largest_and_ties_by_lesion_id():
    chosen, reasons = choose([lesion("L3"), lesion("L1"), lesion("L2")], {"L1": 20.0, "L2": 20.0, "L3": 20.0})
    assert chosen == ["L1", "L2"]
    assert reasons["L3"] == "the organ has its targets"


@pytest.mark.requirement("D-target-selection")
def test_at_most_five_in_all_and_every_organ_before_a_second_in_any():
    sites = {
        "A1": "LIVER",
        "A2": "LIVER",
        "B1": "LUNG",
        "C1": "BONE",
        "D1": "SKIN",
        "E1": "SPLEEN",
        "F1": "BRAIN",
    }
    sizes = {"A1": 90.0, "A2": 80.0, "B1": 15.0, "C1": 14.0, "D1": 13.0, "E1": 12.0, "F1": 11.0}
    chosen, reasons = choose([lesion(key, site) for key, site in sites.items()], sizes)
    assert chosen == ["A1", "B1", "C1", "D1", "E1"]
    assert reasons["F1"] == "the list of targets is full"


@pytest.mark.requirement("D-target-selection")
def test_paired_organs_and_all_node_stations_are_one_organ():
    lesions = [lesion("K1", "LEFT KIDNEY"), lesion("K2", "RIGHT KIDNEY"), lesion("K3", "KIDNEY")]
    nodes = [lesion(f"N{n}", site, node=True) for n, site in enumerate(("AXILLA", "NECK", "PORTA HEPATIS"))]
    sizes = {"K1": 30.0, "K2": 29.0, "K3": 28.0, "N0": 20.0, "N1": 19.0, "N2": 18.0}
    assert choose(lesions + nodes, sizes)[0] == ["K1", "K2", "N0", "N1"]


@pytest.mark.requirement("D-target-selection")
def test_measurable_means_10_mm_a_node_15_mm_and_twice_a_thick_slice():
    lesions = [lesion("L1"), lesion("L2"), lesion("N1", node=True), lesion("L3")]
    sizes = {"L1": 10.0, "L2": 9.9, "N1": 14.9, "L3": NotEvaluable(reason="infiltrative")}
    chosen, reasons = choose(lesions, sizes)
    assert chosen == ["L1"]
    assert reasons["N1"] == "14.9 mm is below 15 mm"
    assert reasons["L3"] == "infiltrative"
    assert choose(lesions, sizes, slice_thickness_mm=7.0)[0] == []
    assert choose(lesions, sizes, slice_thickness_mm=5.0)[0] == ["L1"]
