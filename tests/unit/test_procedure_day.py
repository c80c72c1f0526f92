"""The day as a state machine: what may come next, what is open, what is wrong. Tables by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from procedure_days import (
    FRAME,
    SETTINGS,
    at,
    make_day,
    make_end,
    make_entry,
    make_injections,
    make_planned,
    make_preparation,
    make_vial,
    replace_entry,
)

from hepatica.core.errors import ConflictError, InputError, LockedError, RecordInputError
from hepatica.core.findings import NotEvaluable, Severity
from hepatica.procedure.append import append_entries
from hepatica.procedure.check_day import check_day
from hepatica.procedure.entry import check_entry
from hepatica.procedure.entry_kind import Phase, read_entry_kinds, read_gates
from hepatica.procedure.state import derive_day

PLANNED = make_planned()
NOON = at("12:00")


def derive(entries, settings=SETTINGS, planned=PLANNED):
    return derive_day(entries, planned, settings=settings)


def find(entries, *, as_of=NOON, settings=SETTINGS, planned=PLANNED):
    """Findings by rule, without the family's name."""
    found = {}
    for finding in check_day(derive(entries, settings, planned), planned, as_of=as_of, settings=settings):
        found.setdefault(finding.rule.removeprefix("procedure."), []).append(finding)
    return found


def drop(entries, *names):
    return [entry for entry in entries if entry.entry_id not in names]


@pytest.mark.requirement("F-procedure-states")
@pytest.mark.parametrize(
    ("upto", "phase"),
    [
        ("e05", "preparation"), ("e06", "ready"), ("e11", "ready"), ("e21", "needle_in"), ("e34", "needle_in"),
        ("e41", "ready"), ("e42", "needle_in"), ("e46", "ready"), ("e50", "observation"), ("e51", "observation"),
        ("e52", "closed"),
    ],
)  # fmt: skip
def test_each_entry_leads_to_the_phase_of_the_table(upto, phase):
    assert derive([entry for entry in make_day() if entry.entry_id <= upto]).phase.value == phase


@pytest.mark.requirement("F-procedure-states")
def test_a_day_without_entries_asks_for_consent_labs_and_vial_before_the_time_out():
    day = derive([])
    assert day.phase is Phase.PREPARATION
    assert {c.name for c in day.open_checks if "time_out" in c.blocks} == {"consent", "labs", "vial"}
    assert not day.may("time_out").allowed and not day.may("deposit").allowed and not day.may("close").allowed
    assert day.may("consent_check").allowed and day.may("cancel").allowed
    assert any("consent to this protocol version" in reason for reason in day.may("time_out").reasons)


@pytest.mark.requirement("F-procedure-states")
def test_after_the_time_out_a_needle_may_go_in_and_only_then_a_deposit_be_given():
    ready = derive(make_preparation())
    assert ready.may("needle_in").allowed and not ready.may("deposit").allowed
    inside = derive([*make_preparation(), *make_injections()[:3]])
    assert inside.may("deposit").allowed and not inside.may("observation_start").allowed
    assert not inside.may("cancel").allowed


@pytest.mark.requirement("F-procedure-states")
def test_every_kind_is_reachable_from_some_phase_and_every_gate_names_a_check():
    reachable = {phase for kind in read_entry_kinds().values() for phase in kind.phases}
    assert reachable == {Phase.PREPARATION, Phase.READY, Phase.NEEDLE_IN, Phase.OBSERVATION}
    assert set(read_gates().phases) == set(Phase)
    used = {check for checks in read_gates().needed.values() for check in checks}
    assert used == set(read_gates().checks)


@pytest.mark.requirement("F-procedure-checks")
def test_a_day_as_planned_has_no_finding_and_nothing_open():
    assert find(make_day()) == {}
    assert derive(make_day()).open_checks == ()


ONE_FAULT = [
    ("no_consent", "e01", {"confirmed": False}),
    ("consent_version", "e01", {"protocol_version": "2.1"}),
    ("labs", "e02", {"accepted": False}),
    ("vial_expired", "e03", {"expiry_date": "2026-03-01"}),
    ("vial_agent", "e03", {"agent": "pexastimogene"}),
    ("vial_strength", "e03", {"strength": 1e8}),
    ("vial_unit", "e03", {"strength_unit": "vp_per_ml"}),
    ("vial_overdrawn", "e07", {"volume_ml": 1.2}),
    ("vial_content", "e03", {"volume_ml": 4.0}),
    ("unknown_vial", "e10", {"vial_id": "V9"}),
    ("thaw_short", "e03", {"thaw_start": "2026-03-02T08:02:00+01:00"}),
    ("beyond_use", "e03", {"thaw_start": "2026-03-01T20:30:00+01:00"}),
    ("time_out", "e06", {"patient_confirmed": False}),
    ("agent", "e06", {"agent": "saline"}),
    ("lesion_list", "e06", {"lesion_ids": ["L1", "L2", "L3"]}),
    ("lesion_list_short", "e06", {"lesion_ids": ["L1"]}),
    ("not_in_time_out", "e06", {"lesion_ids": ["L1"]}),
    ("syringe_overdrawn", "e34", {"volume_ml": 0.7}),
    ("dead_space", "e09", {"volume_ml": 0.05}),
    ("more_than_planned", "e34", {"volume_ml": 0.55}),
    ("unlisted_lesion", "e45", {"lesion_id": "L3"}),
    ("leak_unknown", "e45", {"leaked_ml": None}),
    ("tip_outside", "e22", {"measured_tip_lps_mm": [20.5, 0.0, 0.0]}),
    ("tip_not_evaluable", "e22", {"frame_of_reference": "2.25.1"}),
    ("observation_short", "e50", {"planned_min": 241}),
    ("order", "e33", {"needle_id": "N7"}),
    ("time", "e40", {"entered_at": at("08:40")}),
]


@pytest.mark.requirement("F-procedure-checks")
@pytest.mark.parametrize(("rule", "entry_id", "changes"), ONE_FAULT, ids=[row[0] for row in ONE_FAULT])
def test_one_fault_in_a_day_gives_its_finding(rule, entry_id, changes):
    assert rule in find(replace_entry(make_day(), entry_id, **changes))


@pytest.mark.requirement("F-procedure-checks")
@pytest.mark.parametrize(
    ("entry_id", "changes"),
    [
        ("e03", {"expiry_date": "2026-03-02"}),
        ("e03", {"thaw_start": "2026-03-02T08:01:00+01:00"}),
        ("e03", {"thaw_start": "2026-03-01T20:31:00+01:00"}),
        ("e09", {"volume_ml": 0.08}),
        ("e34", {"volume_ml": 0.505}),
        ("e22", {"measured_tip_lps_mm": [20.0, 0.0, 0.0]}),
        ("e50", {"planned_min": 240}),
        ("e40", {"occurred_at": at("08:50")}),
    ],
    ids=[
        "expiry day",
        "thaw 30 min",
        "12 h at 8-25 C",
        "dead space",
        "half a step",
        "half the diameter",
        "time",
        "10 min",
    ],
)
def test_the_value_on_the_limit_is_no_finding(entry_id, changes):
    assert find(replace_entry(make_day(), entry_id, **changes)) == {}


@pytest.mark.requirement("F-procedure-vial")
def test_times_after_thaw_add_up_by_how_the_vial_was_kept():
    moved = [
        *drop(make_day(), "e03"),
        make_vial("e03", "08:10", "V1", thaw="00:31"),
        make_entry("m1", "vial_storage", "01:31", vial_id="V1", storage="refrigerated"),
        make_entry("m2", "vial_storage", "06:31", vial_id="V1", storage="room"),
    ]
    vial = derive(moved).supply.vials["V1"]
    assert vial.measure_exposure_h("room", until=at("08:31")) == pytest.approx(3.0)
    assert vial.measure_exposure_h("refrigerated", until=at("08:31")) == pytest.approx(5.0)
    assert find(moved) == {}
    # 10 h of 12 h in the room and 6 h of 24 h in the refrigerator: shares 0.83 + 0.25.
    both = [
        *drop(make_day(), "e03"),
        replace_entry([make_vial("e03", "08:10", "V1")], "e03", thaw_start="2026-03-01T16:31:00+01:00")[0],
        replace(make_entry("m1", "vial_storage", "02:31", vial_id="V1", storage="refrigerated")),
    ]
    assert set(find(both)) == {"beyond_use_together"}


@pytest.mark.requirement("F-procedure-vial")
@pytest.mark.parametrize("where", ["", "us", "fr"])
def test_a_limit_of_use_that_nobody_has_set_is_said_to_be_not_set(where):
    (finding, *_) = find(make_day(), settings=replace(SETTINGS, jurisdiction=where))["beyond_use_not_set"]
    assert finding.limit == "" and finding.severity is Severity.WARNING


@pytest.mark.requirement("F-procedure-vial")
def test_the_second_visit_takes_the_stronger_vial_and_its_longer_limit():
    planned = make_planned(visit=2, dose_per_ml=1e8)
    strong = [
        replace_entry([entry], entry.entry_id, strength=1e8)[0] if entry.kind == "vial" else entry
        for entry in make_day()
    ]
    strong = replace_entry(strong, "e03", thaw_start="2026-03-01T09:00:00+01:00")
    assert find(strong, planned=planned) == {}
    assert "vial_strength" in find(make_day(), planned=planned)


@pytest.mark.requirement("F-procedure-sedation")
@pytest.mark.parametrize(
    ("dropped", "gaps_min"),
    [((), []), (("e40",), [18.0]), (("e43",), [16.0]), (("e20", "e40", "e43"), [32.0])],
)
def test_vital_signs_missing_longer_than_the_set_interval_are_a_finding(dropped, gaps_min):
    found = find(drop(make_day(), *dropped)).get("vitals_gap", [])
    assert [finding.measured for finding in found] == gaps_min
    assert all(finding.limit == 10 for finding in found)


@pytest.mark.requirement("F-procedure-sedation")
def test_while_sedation_lasts_the_gap_grows_until_now_and_no_day_is_closed():
    lasting = drop([*make_preparation(), *make_injections()], "e47")
    assert "vitals_gap" not in find(lasting, as_of=at("09:08"))
    (gap,) = find(lasting, as_of=at("09:30"))["vitals_gap"]
    assert gap.measured == 32.0
    assert "not yet: sedation has ended" in derive(lasting).may("close").reasons


@pytest.mark.requirement("F-procedure-sedation")
def test_without_an_interval_of_its_own_the_shipped_unverified_one_holds_or_the_sites():
    plain = replace_entry(make_day(), "e11", vital_interval_min=None)
    assert all(finding.unverified for finding in find(plain)["vitals_gap"])
    assert "vitals_gap" not in find(plain, settings=SETTINGS.with_site_limit("vital_interval", 10))
    with pytest.raises(InputError):
        SETTINGS.with_site_limit("vital_interval", 0)


@pytest.mark.requirement("F-procedure-tip")
@pytest.mark.parametrize(
    ("tip", "axial", "lateral"),
    [([13.0, 0.0, 4.0], 3.0, 4.0), ([4.0, 8.0, 0.0], -6.0, 8.0), ([10.0, 0.0, 0.0], 0.0, 0.0)],
)
def test_the_deviation_of_a_tip_splits_into_along_and_across_the_needle(tip, axial, lateral):
    control = derive(replace_entry(make_day(), "e22", measured_tip_lps_mm=tip)).comparison.tips[0]
    assert control.axial_mm == pytest.approx(axial) and control.lateral_mm == pytest.approx(lateral)
    assert control.deviation_mm == pytest.approx((axial**2 + lateral**2) ** 0.5)


@pytest.mark.requirement("F-procedure-tip")
def test_another_frame_needs_a_rigid_registration():
    # Control turned by 90 degrees about z and shifted: plan = R control + t.
    affine = [0, -1, 0, 5, 1, 0, 0, -7, 0, 0, 1, 2, 0, 0, 0, 1]
    seen = [7.0, -8.0, 2.0]  # R seen + t = (8 + 5, 7 - 7, 2 + 2) = (13, 0, 4)
    turned = replace_entry(
        make_day(), "e22", measured_tip_lps_mm=seen, frame_of_reference="2.25.9", plan_from_control_lps=affine
    )
    assert derive(turned).comparison.tips[0].deviation_mm == pytest.approx(5.0)
    for wrong in ([2, *affine[1:]], [*affine[:10], -1, *affine[11:]]):
        bad = replace_entry(turned, "e22", plan_from_control_lps=wrong)
        assert isinstance(derive(bad).comparison.tips[0].deviation_mm, NotEvaluable), "scaled or mirrored"


@pytest.mark.requirement("F-procedure-tip")
def test_a_deposit_before_any_control_image_is_a_finding():
    assert [f.subject for f in find(drop(make_day(), "e44"))["tip_unchecked"]] == ["N2"]


@pytest.mark.requirement("F-procedure-order")
def test_a_fact_out_of_order_is_kept_counted_and_named():
    day = derive(drop(make_day(), "e06"))
    assert day.comparison.lesions[0].given_ml == 2.0
    assert any("time-out" in f.message for f in day.order_findings)
    without_needle = drop(make_day(), "e42", "e46")
    rows = {row.lesion_id: row for row in derive(without_needle).comparison.lesions}
    assert rows["L2"].given_ml == 0.5 and "order" in find(without_needle)


@pytest.mark.requirement("F-procedure-order")
def test_a_time_out_that_arrives_late_but_happened_in_time_leaves_no_finding():
    late = [*drop(make_day(), "e06"), replace(make_preparation()[5], entered_at=at("09:30"))]
    assert find(late) == {}


@pytest.mark.requirement("F-procedure-correction")
def test_a_correction_supersedes_and_the_superseded_entry_stays():
    wrong = replace_entry(make_day(), "e34", volume_ml=0.9)
    assert isinstance(derive(wrong).comparison.lesions[0].given_ml, NotEvaluable), "more than was drawn"
    right = next(e for e in make_day() if e.entry_id == "e34")
    fixed = append_entries(
        wrong,
        [replace(right, entry_id="c1", supersedes="e34", reason="misread", entered_at=at("14:00"))],
        planned=PLANNED,
        settings=SETTINGS,
    )
    day = derive(fixed.entries)
    assert day.comparison.lesions[0].given_ml == 2.0
    assert day.settled.replaced_by == {"e34": "c1"}
    assert len(fixed.entries) == len(wrong) + 1


@pytest.mark.requirement("F-procedure-correction")
def test_a_correction_without_reason_of_nothing_or_of_another_kind_is_refused():
    with pytest.raises(RecordInputError):
        make_entry("c1", "note", "10:00", supersedes="e34", text="x")
    for entry in (
        make_entry("c1", "void", "10:00", supersedes="zz", reason="slip"),
        make_entry("c1", "note", "10:00", supersedes="e34", reason="slip", text="no deposit in disguise"),
    ):
        with pytest.raises(RecordInputError):
            append_entries(make_day(), [entry], planned=PLANNED, settings=SETTINGS)


@pytest.mark.requirement("F-procedure-correction")
def test_two_corrections_of_one_entry_are_both_kept_and_shown():
    base = next(e for e in make_day() if e.entry_id == "e45")
    one = replace(
        base,
        entry_id="c1",
        supersedes="e45",
        reason="a",
        values={**base.values, "leaked_ml": 0.2},
        entered_at=at("14:00"),
    )
    two = replace(
        base,
        entry_id="c2",
        supersedes="e45",
        reason="b",
        values={**base.values, "leaked_ml": 0.3},
        entered_at=at("14:01"),
    )
    day = derive([*make_day(), two, one])
    assert day.comparison.lesions[1].leaked_ml == 0.3
    assert len(day.settled.conflicts) == 1 and "c1, c2" in day.settled.conflicts[0].message
    settled = replace(
        base,
        entry_id="c3",
        supersedes="c1",
        reason="c",
        values={**base.values, "leaked_ml": 0.25},
        entered_at=at("14:02"),
    )
    assert derive([*make_day(), one, settled]).settled.conflicts == ()


@pytest.mark.requirement("F-procedure-merge")
def test_the_same_deposit_entered_on_two_tablets_counts_twice_until_a_person_decides():
    twin = replace(next(e for e in make_day() if e.entry_id == "e45"), entry_id="t2", author="u2")
    entries = [*drop(make_day(), "e52"), twin]
    day = derive(entries)
    assert "conflict" in find(entries) and "conflicts" in {c.name for c in day.open_checks}
    assert not day.may("close").allowed
    taken_back = [*entries, make_entry("c1", "void", "09:30", supersedes="t2", reason="entered twice")]
    assert find(taken_back) == {} and derive(taken_back).may("close").allowed


@pytest.mark.requirement("F-procedure-close")
def test_a_closed_day_takes_corrections_only():
    note = make_entry("n1", "note", "13:20", text="late")
    with pytest.raises(LockedError):
        append_entries(make_day(), [note], planned=PLANNED, settings=SETTINGS)
    reopened = append_entries(
        make_day(), [make_entry("c1", "void", "13:30", supersedes="e52", reason="note missing")],
        planned=PLANNED, settings=SETTINGS,
    )  # fmt: skip
    assert derive(reopened.entries).phase is Phase.OBSERVATION
    again = append_entries(
        reopened.entries, [note, make_entry("e53", "close", "13:35")], planned=PLANNED, settings=SETTINGS
    )
    assert derive(again.entries).phase is Phase.CLOSED


@pytest.mark.requirement("F-procedure-close")
@pytest.mark.parametrize(
    ("dropped", "open_check"),
    [(("e46",), "every needle is out"), (("e47",), "sedation has ended"), (("e51",), "observation has ended"),
     (("e34",), "every deviation has a reason")],
)  # fmt: skip
def test_a_day_with_something_open_is_not_closed(dropped, open_check):
    entries = drop(make_day(), "e52", *dropped)
    with pytest.raises(ConflictError, match=open_check):
        append_entries(entries, make_end()[2:], planned=PLANNED, settings=SETTINGS)


@pytest.mark.requirement("F-procedure-close")
def test_a_closing_before_the_last_thing_that_happened_is_refused():
    early = make_entry("e52", "close", "13:00")
    with pytest.raises(ConflictError, match="after everything else"):
        append_entries(drop(make_day(), "e52"), [early], planned=PLANNED, settings=SETTINGS)


@pytest.mark.requirement("F-procedure-close")
def test_a_day_on_which_something_was_given_is_not_cancelled():
    cancel = make_entry("x1", "cancel", "09:07", text="patient unwell")
    assert derive([*make_preparation(), cancel]).phase is Phase.CANCELLED
    with pytest.raises(ConflictError, match="nothing was given"):
        append_entries(
            [*make_preparation(), *make_injections()], [cancel], planned=PLANNED, settings=SETTINGS
        )


@pytest.mark.requirement("F-procedure-idempotency")
def test_an_entry_sent_again_is_one_and_another_under_its_identifier_is_refused():
    day = make_preparation()
    again = append_entries(day, [replace(day[0], entered_at=at("08:20"))], planned=PLANNED, settings=SETTINGS)
    assert (again.added, again.repeated, again.entries) == ((), ("e01",), tuple(day))
    other = replace_entry(day, "e01", confirmed=False)[0]
    with pytest.raises(ConflictError):
        append_entries(day, [other], planned=PLANNED, settings=SETTINGS)


@pytest.mark.requirement("F-procedure-entries")
@pytest.mark.parametrize(
    ("kind", "values", "word"),
    [
        ("flight", {}, "kind"),
        ("note", {}, "required"),
        ("note", {"text": "x", "more": 1}, "no field"),
        (
            "deposit",
            {"needle_id": "N", "lesion_id": "L", "syringe_id": "S", "volume_ml": 0.0, "leak": "none"},
            "above 0",
        ),
        (
            "deposit",
            {
                "needle_id": "N",
                "lesion_id": "L",
                "syringe_id": "S",
                "volume_ml": 1.0,
                "leak": "none",
                "leaked_ml": 0.1,
            },
            "leak",
        ),
        (
            "deposit",
            {
                "needle_id": "N",
                "lesion_id": "L",
                "syringe_id": "S",
                "volume_ml": 1.0,
                "leak": "seen",
                "leaked_ml": 1.1,
            },
            "more than",
        ),
        ("draw", {"syringe_id": "S", "vial_id": "V", "volume_ml": float("nan")}, "number"),
        ("draw", {"syringe_id": "S", "vial_id": "V", "volume_ml": True}, "number"),
        ("vital_signs", {}, "at least one"),
        ("tip_check", {"needle_id": "N", "modality": "ct", "measured_tip_lps_mm": [1, 2]}, "three numbers"),
        (
            "time_out",
            {"patient_confirmed": 1, "site_confirmed": True, "side": "up", "lesion_ids": [], "agent": "x"},
            "true or false",
        ),
    ],
)
def test_wrong_fields_are_named_without_their_values(kind, values, word):
    problems = "; ".join(check_entry(make_entry("a", kind, "10:00", **values)))
    assert word in problems and "nan" not in problems


@pytest.mark.requirement("F-procedure-checks")
def test_a_plan_that_is_not_cleared_is_named_and_the_ceiling_of_a_visit_is_held():
    assert "plan_not_cleared" in find(make_day(), planned=make_planned(status="not_cleared"))
    small = replace(PLANNED, ceiling_ml=2.4)
    (finding,) = find(make_day(), planned=small)["ceiling"]
    assert finding.measured == pytest.approx(2.5) and finding.limit == 2.4


def test_a_tip_in_the_frame_of_the_plan_needs_no_registration():
    assert derive(make_day()).comparison.tips[0].needle_id == "N1" and PLANNED.frame_of_reference == FRAME
