"""Sharing one visit's dose over lesions."""

from __future__ import annotations

import dataclasses
import math

import pytest

from hepatica.core.errors import InputError, NonFiniteError, NotSetError, ProtocolError
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.planning.dose.allocate import AllocationOptions, allocate_dose
from hepatica.planning.dose.edges import check_dose_edges
from hepatica.planning.dose.protocol import Protocol, read_protocol
from hepatica.planning.dose.values import Allocation, DoseLesion

LABEL = read_protocol("tvec-label")
SISTER = b"""
extends = "tvec-liver-atezolizumab"
name = "sister"
title = "test"
[[rule.bands]]
volume = { value = 1.5, unit = "ml", source = "test", status = "unverified" }
"""


def lesion(name: str, longest_mm: float, volume_ml: float = 500.0, **more: object) -> DoseLesion:
    values = {"is_new": False, **more}
    return DoseLesion(lesion_id=name, longest_diameter_mm=longest_mm, volume_ml=volume_ml, **values)  # type: ignore[arg-type]


def volumes(allocation: Allocation) -> dict[str, float]:
    return {injection.lesion_id: injection.volume_ml for injection in allocation.injections}


def rules(allocation: Allocation) -> set[str]:
    return {finding.rule for finding in allocation.findings}


@pytest.mark.requirement("A-dose-order")
def test_the_first_visit_goes_by_size_and_says_who_got_less_and_why() -> None:
    lesions = [lesion("L1", 12), lesion("L2", 26), lesion("L3", 24), lesion("L4", 45)]
    allocation = allocate_dose(lesions, protocol=LABEL, visit=1)
    assert [i.lesion_id for i in allocation.injections] == ["L4", "L2", "L3", "L1"]
    assert volumes(allocation) == {"L4": 2.0, "L2": 2.0, "L3": 0.0, "L1": 0.0}
    by_name = {i.lesion_id: i for i in allocation.injections}
    assert by_name["L4"].reason == "" and by_name["L4"].rank == 1
    assert by_name["L3"].rule_volume_ml == 1.0 and by_name["L3"].rank == 0
    assert "ceiling of 4 mL" in by_name["L3"].reason and "after L4, L2" in by_name["L3"].reason


@pytest.mark.requirement("A-dose-order")
def test_later_visits_inject_new_lesions_first_then_by_size() -> None:
    lesions = [lesion("L1", 60), lesion("L2", 12, is_new=True), lesion("L3", 20, is_new=True)]
    allocation = allocate_dose(lesions, protocol=LABEL, visit=2)
    assert [i.lesion_id for i in allocation.injections] == ["L3", "L2", "L1"]
    assert volumes(allocation) == {"L3": 1.0, "L2": 0.5, "L1": 2.5}
    assert allocate_dose(lesions, protocol=LABEL, visit=1).injections[0].lesion_id == "L1"


@pytest.mark.requirement("A-dose-order")
def test_unknown_newness_is_not_guessed_but_stated() -> None:
    lesions = [lesion("L1", 60, is_new=None), lesion("L2", 12, is_new=True), lesion("L3", 20, is_new=None)]
    allocation = allocate_dose(lesions, protocol=LABEL, visit=2)
    assert [i.lesion_id for i in allocation.injections] == ["L2", "L1", "L3"]
    finding = next(f for f in allocation.findings if f.rule == "dose.newness_unknown")
    assert (
        finding.severity is Severity.WARNING and finding.subject == "L1, L3" and "by size" in finding.message
    )
    assert "dose.newness_unknown" not in rules(allocate_dose(lesions, protocol=LABEL, visit=1))


@pytest.mark.requirement("A-dose-order")
def test_equal_lesions_go_by_name_two_before_ten() -> None:
    allocation = allocate_dose(
        [lesion("L10", 30), lesion("L2", 30), lesion("L1", 30)], protocol=LABEL, visit=1
    )
    assert volumes(allocation) == {"L1": 2.0, "L2": 2.0, "L10": 0.0}


@pytest.mark.requirement("A-dose-order")
def test_liver_keeps_priority_and_spill_over_to_skin_begins_at_the_set_visit() -> None:
    protocol = Protocol.from_toml(SISTER, where="test")
    lesions = [
        lesion("S1", 90, site="cutaneous"),
        lesion("L1", 20),
        lesion("L2", 30),
        lesion("B1", 30, site="bone"),
    ]
    early = allocate_dose(lesions, protocol=protocol, visit=3)
    assert volumes(early) == {"L2": 1.5, "L1": 1.5, "S1": 0.0, "B1": 0.0}
    assert "before visit 4" in next(i for i in early.injections if i.lesion_id == "S1").reason
    late = allocate_dose(lesions, protocol=protocol, visit=4)
    assert volumes(late) == {"L2": 1.5, "L1": 1.5, "S1": 1.0, "B1": 0.0}
    assert "not a site" in next(i for i in late.injections if i.lesion_id == "B1").reason


@pytest.mark.requirement("A-dose-strength")
def test_vials_are_the_ceiling_of_the_draw_up_with_dead_space_of_each_puncture() -> None:
    lesions = [lesion("L1", 30), lesion("L2", 20)]
    assert allocate_dose(lesions, protocol=LABEL, visit=1).vials == 3
    allocation = allocate_dose(lesions, protocol=LABEL, visit=1, dead_space_ml=0.08)
    assert allocation.total_ml == 3.0
    assert allocation.draw_up_ml == pytest.approx(3.16, abs=1e-12)
    assert allocation.vials == 4 and "light green" in allocation.vial_text
    one = allocate_dose(
        lesions, protocol=LABEL, visit=1, dead_space_ml=0.08, options=AllocationOptions(punctures=1)
    )
    assert one.draw_up_ml == pytest.approx(3.08, abs=1e-12)


@pytest.mark.requirement("A-dose-strength")
def test_a_vial_of_another_strength_is_refused() -> None:
    right = AllocationOptions(strength_per_ml=1e6)
    assert allocate_dose([lesion("L1", 30)], protocol=LABEL, visit=1, options=right).total_ml == 2.0
    with pytest.raises(ProtocolError, match=r"1e\+08 pfu_per_ml at visit 2 \(royal blue cap\)"):
        allocate_dose([lesion("L1", 30)], protocol=LABEL, visit=2, options=right)


@pytest.mark.requirement("A-dose-not-set")
def test_amount_and_vials_are_not_evaluable_where_the_protocol_does_not_say() -> None:
    allocation = allocate_dose(
        [lesion("L1", 30, 14.0)], protocol=read_protocol("nbtxr3-liver:22-percent"), visit=1
    )
    injection = allocation.injections[0]
    assert injection.volume_ml == 3.05 and injection.rule_volume_ml == pytest.approx(3.08)
    assert "rounded down to the syringe's step of 0.05 mL" in injection.reason
    assert isinstance(injection.dose, NotEvaluable) and isinstance(allocation.vials, NotEvaluable)
    assert allocation.ceiling_ml is None and "dose.no_ceiling" in rules(allocation)


@pytest.mark.requirement("A-dose-families")
def test_a_shared_total_adds_up_to_the_total() -> None:
    lesions = [lesion(f"L{n}", 20 + n, 5.0 + n) for n in range(1, 8)]
    allocation = allocate_dose(lesions, protocol=read_protocol("jx594-liver:1e9-pfu"), visit=1)
    doses = [i.dose for i in allocation.injections if i.volume_ml > 0]
    assert len(doses) == 5
    assert math.fsum(float(dose) for dose in doses) == pytest.approx(1e9, rel=1e-12)  # type: ignore[arg-type]
    assert allocation.injections[0].status is EvidenceStatus.UNVERIFIED
    assert "at most 5" in allocation.injections[-1].reason


@pytest.mark.requirement("A-dose-families")
def test_a_share_of_the_total_is_given_over_days_under_the_daily_cap() -> None:
    lesions = [lesion("L1", 60, 40.0), lesion("L2", 30, 10.0)]
    protocol = read_protocol("pts100-hcc:30-percent")
    first = allocate_dose(lesions, protocol=protocol, visit=1)
    assert volumes(first) == {"L1": 10.0, "L2": 0.0} and first.ceiling_ml == 10.0
    with pytest.raises(NotSetError, match="later_day_cap"):
        allocate_dose(lesions, protocol=protocol, visit=2)
    supplied = Protocol.from_toml(
        b'extends = "pts100-hcc:30-percent"\nname = "x"\ntitle = "x"\n'
        b'[rule.later_day_cap]\nvalue = 10\nunit = "ml"\n',
        where="test",
    )
    given = AllocationOptions(given_ml={"L1": 10.0, "L2": 0.0})
    second = allocate_dose(lesions, protocol=supplied, visit=2, options=given)
    assert volumes(second) == {"L1": 2.0, "L2": 3.0}
    assert "10 mL of its amount was given before" in second.injections[0].reason
    assert "dose.given_before_unknown" in rules(allocate_dose(lesions, protocol=supplied, visit=2))


@pytest.mark.requirement("A-dose-families")
def test_fixed_families_give_what_their_trials_gave() -> None:
    h101 = allocate_dose(
        [lesion("L1", 30, 14.0), lesion("L2", 20, 4.0)], protocol=read_protocol("h101-liver"), visit=1
    )
    assert volumes(h101) == {"L1": 1.0, "L2": 1.0}
    assert h101.injections[0].dose == 1e12 and h101.injections[0].dose_unit == "vp" and h101.vials == 4
    assert isinstance(h101.injections[0].dose_pfu, NotEvaluable)
    skin = [lesion(f"S{n}", 20, 4.0, site="cutaneous") for n in range(1, 4)]
    tavo = allocate_dose(skin, protocol=read_protocol("tavo-melanoma"), visit=1)
    assert set(volumes(tavo).values()) == {0.33} and tavo.ceiling_ml == 1.0
    assert "dose.lesions_least" in rules(
        allocate_dose(skin[:1], protocol=read_protocol("tavo-melanoma"), visit=1)
    )
    weeks = Protocol.from_toml(
        b'extends = "tilsotolimod-deep"\nname = "x"\ntitle = "x"\n'
        b'[visits.week-1.concentration]\nvalue = 4\nunit = "mg_per_ml"\n',
        where="test",
    )
    one = allocate_dose([lesion("L1", 30), lesion("L2", 40)], protocol=weeks, visit=1)
    assert volumes(one) == {"L2": 2.0, "L1": 0.0} and one.injections[0].dose == 8.0
    with pytest.raises(ProtocolError, match="visit from 1 to 6"):
        allocate_dose([lesion("L1", 30)], protocol=weeks, visit=7)


@pytest.mark.requirement("A-dose-not-set")
def test_the_liver_escalation_without_its_table_says_what_to_supply_and_how() -> None:
    with pytest.raises(NotSetError) as refusal:
        allocate_dose([lesion("L1", 30)], protocol=read_protocol("tvec-liver-escalation"), visit=1)
    text = str(refusal.value)
    assert "rule.bands" in text and "visits.all.ceiling" in text and "visits.all.concentration" in text
    assert 'extends = "tvec-liver-escalation"' in text and "[[rule.bands]]" in text
    with pytest.raises(NotSetError, match="'nbtxr3-liver:22-percent'"):
        allocate_dose([lesion("L1", 30)], protocol=read_protocol("nbtxr3-liver"), visit=1)


@pytest.mark.requirement("A-dose-edges")
def test_a_diameter_near_an_edge_gives_both_doses_and_asks() -> None:
    (near,) = check_dose_edges(lesion("L1", 26), protocol=LABEL)
    assert near.severity is Severity.WARNING and near.limit == "25"
    assert (
        "1 mL at 21.3 mm" in near.message
        and "2 mL at 30.2 mm" in near.message
        and "Measure again" in near.message
    )
    (between,) = check_dose_edges(lesion("L1", 31), protocol=LABEL)
    assert between.severity is Severity.INFO
    assert check_dose_edges(lesion("L1", 100), protocol=LABEL) == ()
    assert check_dose_edges(lesion("L1", 26), protocol=LABEL, variability_mm=0.9) == ()
    assert len(check_dose_edges(lesion("L1", 26), protocol=LABEL, variability_mm=1.0)) == 1
    assert check_dose_edges(lesion("L1", 26), protocol=read_protocol("pv10-liver:cohort-1")) == ()


@pytest.mark.requirement("A-dose-share")
def test_a_volume_above_a_set_share_of_the_lesion_is_a_finding_marked_unverified() -> None:
    small = allocate_dose([lesion("L1", 12, 0.9)], protocol=LABEL, visit=1)
    finding = next(f for f in small.findings if f.rule == "dose.share_of_lesion")
    assert finding.measured == pytest.approx(0.5 / 0.9) and finding.unverified
    assert "dose.share_of_lesion" not in rules(
        allocate_dose([lesion("L1", 12, 1.0)], protocol=LABEL, visit=1)
    )


@pytest.mark.requirement("A-dose-order")
def test_a_lesion_without_a_path_keeps_its_reason_and_frees_its_volume() -> None:
    blocked = dataclasses.replace(lesion("L1", 60), injectable=False, reason="no path meets every hard limit")
    allocation = allocate_dose([blocked, lesion("L2", 30)], protocol=LABEL, visit=1)
    assert volumes(allocation) == {"L2": 2.0, "L1": 0.0}
    assert allocation.injections[1].reason == "no path meets every hard limit"


@pytest.mark.requirement("A-dose-families")
def test_a_lesion_too_small_for_the_protocol_gets_nothing_and_says_so() -> None:
    protocol = read_protocol("pv10-liver:cohort-1")
    allocation = allocate_dose([lesion("L1", 9.9, 0.5)], protocol=protocol, visit=1)
    assert volumes(allocation) == {"L1": 0.0} and "below 10 mm" in allocation.injections[0].reason
    assert "unverified" in allocation.injections[0].reason and "dose.smallest_lesion" in rules(allocation)
    assert allocation.draw_up_ml == 0.0


def test_the_liver_under_the_label_is_allocated_with_a_warning() -> None:
    assert "dose.site" in rules(allocate_dose([lesion("L1", 30)], protocol=LABEL, visit=1))
    skin = lesion("S1", 30, site="cutaneous")
    assert "dose.site" not in rules(allocate_dose([skin], protocol=LABEL, visit=1))


def test_no_lesion_is_an_empty_allocation() -> None:
    allocation = allocate_dose([], protocol=LABEL, visit=1, dead_space_ml=0.1)
    assert (allocation.injections, allocation.total_ml, allocation.draw_up_ml, allocation.vials) == (
        (),
        0.0,
        0.0,
        0,
    )


@pytest.mark.parametrize("longest_mm", [math.nan, math.inf])
def test_sizes_that_are_no_numbers_are_refused(longest_mm: float) -> None:
    with pytest.raises(NonFiniteError):
        allocate_dose([lesion("L1", longest_mm)], protocol=LABEL, visit=1)


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(InputError, match="above 0"):
        allocate_dose([lesion("L1", -1.0)], protocol=LABEL, visit=1)
    with pytest.raises(InputError, match="twice"):
        allocate_dose([lesion("L1", 10), lesion("L1", 20)], protocol=LABEL, visit=1)
    with pytest.raises(InputError, match="visit"):
        allocate_dose([lesion("L1", 10)], protocol=LABEL, visit=0)
    with pytest.raises(InputError, match="dead space"):
        allocate_dose([lesion("L1", 10)], protocol=LABEL, visit=1, dead_space_ml=-0.1)


def test_a_lesion_one_pixel_wide_gets_nothing_and_does_not_stop_the_others():
    lesions = [
        DoseLesion(lesion_id="L1", longest_diameter_mm=32.0, volume_ml=14.0),
        DoseLesion(lesion_id="L2", longest_diameter_mm=0.0, volume_ml=0.01),
    ]
    allocation = allocate_dose(lesions, protocol=read_protocol("tvec-label"), visit=1)
    by_id = {injection.lesion_id: injection for injection in allocation.injections}
    assert (by_id["L1"].volume_ml, by_id["L2"].volume_ml) == (2.0, 0.0)
    assert "one pixel" in by_id["L2"].reason
