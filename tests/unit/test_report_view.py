"""The rows that sheet and report share."""

from dataclasses import replace

import numpy as np
import pytest
from phantom import make_context

from hepatica.adapters.reports.puncture_view import derive_puncture_view, find_slice_words
from hepatica.adapters.reports.view import collect_findings, derive_plan_view
from hepatica.anatomy.structures import StructureKind
from hepatica.core.evidence import EvidenceStatus
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.planning.eligibility.values import Answer, CriterionAnswer
from hepatica.planning.path.values import Clearance
from hepatica.planning.plan import PlanStatus
from hepatica.workflows.ports import ImageFacts


@pytest.fixture(scope="module")
def context():
    return make_context()


def with_plan(context, **changes):
    return replace(context, plan=replace(context.plan, **changes))


def first(context, **changes):
    return derive_puncture_view(replace(context.plan.punctures[0], **changes), context)


@pytest.mark.requirement("A-sheet-status")
def test_not_cleared_names_every_missing_group(context):
    view = derive_plan_view(context)
    assert (view.cleared, view.banner) == (False, "NOT CLEARED")
    for group in context.plan.missing_structures:
        assert group in view.missing


def test_cleared_plan_asks_for_nothing(context):
    view = derive_plan_view(with_plan(context, status=PlanStatus.CLEARED, missing_structures=()))
    assert (view.cleared, view.banner, view.missing) == (True, "Cleared", "")


def test_lesion_row_says_size_volume_dose_and_order(context):
    (row,) = derive_plan_view(context).lesions
    assert row.size.text == "36.0 × 36.0 mm"
    assert row.volume.text == "24.1 ± 1.2 mL"
    assert row.viable.text == "n/e: one phase only"
    assert (row.planned.text, row.planned.unverified) == ("2.00 mL", True)
    assert row.dose.text == "2 × 10⁶ PFU"
    assert (row.order, row.puncture, row.undelivered.text) == ("1", "P1", "none")


def test_undelivered_amount_bears_its_reason(context):
    injection = replace(
        context.plan.allocation.injections[0], undelivered_ml=0.12, undelivered_reason="no room", rank=1
    )
    allocation = replace(context.plan.allocation, injections=(injection,))
    (row,) = derive_plan_view(with_plan(context, allocation=allocation)).lesions
    assert (row.undelivered.text, row.undelivered.note, row.undelivered.unverified) == (
        "0.12 mL",
        "no room",
        True,
    )


def test_missing_values_say_why(context):
    unknown = NotEvaluable(reason="no liver label")
    lesion = replace(
        context.plan.lesions[0],
        short_axis=NotEvaluable(reason="single voxel row"),
        liver_fraction=unknown,
        liver_fraction_uncertainty=unknown,
        distance_to_capsule_mm=unknown,
        depth_mm=unknown,
    )
    (row,) = derive_plan_view(with_plan(context, lesions=(lesion,))).lesions
    assert row.size.text == "36.0 × n/e: single voxel row"
    assert row.liver_share.text == row.capsule.text == row.depth.text == "n/e: no liver label"


@pytest.mark.requirement("A-sheet-depths")
def test_depths_come_from_the_runs(context):
    view = first(context)
    assert view.depth_capsule == "25.0 mm"
    assert view.depth_lesion == "80.5 mm"
    assert view.depth_tip == "98.5 mm"
    empty = first(context, runs=())
    assert empty.depth_capsule == "n/e: the path does not enter the liver"
    assert empty.depth_lesion == "n/e: the path does not enter the target"


@pytest.mark.requirement("A-sheet-deposits")
def test_stops_go_deepest_first_with_pull_back_between_them(context):
    puncture = context.plan.punctures[0]
    track = replace(puncture.tracks[0], deposits=puncture.tracks[0].deposits[::-1])
    stops = first(context, tracks=(track,)).stops
    assert [stop.order for stop in stops] == [1, 2]
    assert [stop.depth for stop in stops] == ["98.5 mm", "90.5 mm"]
    assert [stop.pull_back for stop in stops] == ["at tip", "8.0 mm"]
    assert all(stop.volume.unverified for stop in stops)


def test_draw_up_is_dose_plus_dead_space(context):
    view = first(context)
    assert view.draw_up.text == "2.10 mL"
    assert view.draw_up.note == "2.00 mL + dead space 0.10 mL"
    assert view.draw_up.unverified


@pytest.mark.requirement("A-sheet-lateral-offset")
@pytest.mark.parametrize(
    ("position", "entry", "words", "letter"),
    [
        ("HFS", (-150.0, -60.0, 10.0), "149 mm to patient right", "x"),
        ("FFS", (61.0, -60.0, 10.0), "62 mm to patient left", "x"),
        ("HFP", (-1.0, 100.0, 10.0), "0 mm", "x"),
        ("HFDR", (90.0, 29.0, 10.0), "30 mm to the patient's back", "y"),
        ("FFDL", (-90.0, -41.0, 10.0), "40 mm to the patient's front", "y"),
    ],
)
def test_lateral_offset_counts_from_the_middle_of_the_image(context, position, entry, words, letter):
    placed = with_plan(context, patient_position=position)
    view = first(placed, entry_lps_mm=np.array(entry))
    assert view.lateral == words
    assert view.lateral_zero == f"0 = middle of the image, {letter} −1.0 mm"


def test_unknown_position_leaves_offset_and_angle_not_evaluable(context):
    unknown = NotEvaluable(reason="Patient Position (0018,5100) is unknown")
    view = first(with_plan(context, patient_position=unknown), in_plane_angle_deg=unknown)
    assert view.lateral == "n/e: Patient Position is unknown"
    assert view.in_plane == "n/e: Patient Position (0018,5100) is unknown"


@pytest.mark.requirement("A-sheet-slice-words")
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_slice_words_use_location_and_instance_of_the_nearest_slice(sign):
    grid = Grid.from_axes(
        shape=(4, 4, 10), spacing_mm=(1, 1, 5), origin_lps_mm=(0, 0, 0), directions=np.diag([1, 1, sign])
    )
    facts = ImageFacts(
        format="DICOM",
        slice_locations_mm=tuple(100.0 + 5 * k for k in range(10)),
        instance_numbers=tuple(range(20, 10, -1)),
    )
    words = find_slice_words(np.array([1.0, 1.0, sign * 16.0]), grid, facts)
    assert (words.position, words.image) == ("115.0 mm", "image 17")
    bare = find_slice_words(np.array([1.0, 1.0, sign * 16.0]), grid, ImageFacts(format="NRRD"))
    z = "15.0" if sign > 0 else "−15.0"
    end = "feet" if sign > 0 else "head"
    assert (bare.position, bare.image) == (f"z {z} mm", f"slice 4 of 10 from the {end}")


def test_point_beyond_the_scan_has_no_slice(context):
    words = find_slice_words(np.array([0.0, 0.0, 900.0]), context.image.volume.grid, context.image.facts)
    assert words.position == words.image == "n/e: outside the scan"


@pytest.mark.requirement("A-sheet-clearances")
def test_clearances_come_tightest_first_and_unknown_before_all(context):
    def near(kind, value, margin=5.0, run_out=50.0, *, derived=False):
        return Clearance(
            kind=kind, clearance_mm=value, margin_mm=margin, run_out_mm=run_out, derived=derived,
            status=EvidenceStatus.UNVERIFIED,
        )  # fmt: skip

    rows = first(
        context,
        clearances=(
            near(StructureKind.KIDNEY, 40.0),
            near(StructureKind.LUNG, 4.0),
            near(StructureKind.BOWEL, 12.0, margin=10.0, derived=True),
            near(StructureKind.HEART, NotEvaluable(reason="the scan ends there")),
            near(StructureKind.SPLEEN, 30.0, run_out=1.0),
        ),
    ).clearances
    assert [row.name for row in rows] == ["heart", "spleen", "lung", "bowel", "kidney"]
    assert [row.tight for row in rows] == [True, True, True, False, False]
    assert [row.derived_note for row in rows] == ["", "", "", "derived, not reviewed", ""]
    assert all(row.margin.unverified for row in rows)


@pytest.mark.requirement("A-sheet-findings")
def test_every_finding_appears_once_with_errors_first(context):
    shared = Finding(rule="a.b", severity=Severity.INFO, message="m")
    error = Finding(rule="a.c", severity=Severity.ERROR, message="e", limit=3.0, unit="mm",
                    status=EvidenceStatus.UNVERIFIED)  # fmt: skip
    path = replace(context.plan.paths[0], findings=(shared, error))
    plan = replace(context.plan, findings=(shared,), paths=(path,), punctures=(), backups=())
    assert collect_findings(plan) == (error, shared)
    rows = derive_plan_view(replace(context, plan=plan)).findings
    assert (rows[0].limit.text, rows[0].limit.unverified) == ("3 mm", True)


def test_sources_name_each_pair_once(context):
    view = derive_plan_view(context)
    pairs = [(row.text, row.status) for row in view.sources]
    assert len(pairs) == len(set(pairs))
    assert ("NCT02509507", "verified") in pairs


def test_plan_without_punctures_still_has_all_rows(context):
    path = replace(context.plan.paths[0], best=None, backup=None)
    view = derive_plan_view(with_plan(context, punctures=(), backups=(), paths=(path,)))
    assert view.punctures == ()
    assert view.lesions[0].puncture == "no path"
    assert view.paths[0].answer == "no path meets every hard limit"
    assert view.paths[0].blocks[0].blocked == "40 %"


def test_both_allocations_are_shown_the_usable_one_first(context):
    lost = replace(context.plan.allocation.injections[0], volume_ml=0.0, rank=0, reason="no needle path")
    usable = replace(context.plan.allocation, injections=(lost,), total_ml=0.0)
    view = derive_plan_view(with_plan(context, allocation=usable))
    assert [a.total for a in view.allocations] == ["0.00 mL", "2.00 mL"]
    assert view.allocations[0].rows[0].reason == "no needle path"
    assert view.allocations[0].rows[0].rule_amount.text == "2.00 mL"


def criterion(name, answer, **changes):
    fields = {"measured": "present", "limit": "absent", "reason": "why", "source": "s"}
    return CriterionAnswer(
        criterion=name, answer=answer, status=EvidenceStatus.VERIFIED, **(fields | changes)
    )


@pytest.mark.requirement("A-sheet-eligibility")
def test_eligibility_in_short_names_what_failed_and_what_is_not_known(context):
    answers = (
        criterion(
            "bleeding_platelets", Answer.FAIL, measured="40 1e9_per_l", reason="platelets outside the limit"
        ),
        criterion("bleeding_inr", Answer.UNKNOWN),
        criterion("pregnancy", Answer.PASS),
    )
    view = derive_plan_view(with_plan(context, eligibility=answers))
    assert view.eligibility.failed == ("bleeding platelets: 40 × 10⁹/L; platelets outside the limit",)
    assert view.eligibility.unknown == "bleeding INR"
    assert view.eligibility.passed == "1 of 3 pass"
    nothing_known = derive_plan_view(with_plan(context, eligibility=(answers[1], answers[1])))
    assert nothing_known.eligibility.unknown == "all 2 criteria"


def test_the_volume_to_give_is_what_the_stops_hold_not_what_was_planned(context):
    puncture = context.plan.punctures[0]
    track = replace(puncture.tracks[0], deposits=puncture.tracks[0].deposits[:1])
    short = with_plan(context, punctures=(replace(puncture, tracks=(track,)),))
    assert derive_plan_view(context).deposited == "2.00 mL"
    assert derive_plan_view(short).deposited == "1.00 mL"


def test_a_short_axis_above_the_longest_diameter_is_explained(context):
    lesion = context.plan.lesions[0]
    round_one = replace(lesion, short_axis=replace(lesion.short_axis, length_mm=36.5))
    (row,) = derive_plan_view(with_plan(context, lesions=(round_one,))).lesions
    assert (row.size.text, row.size.note) == ("36.0 × 36.5 mm", "round: SA to the outline")
    assert derive_plan_view(context).lesions[0].size.note == ""


def test_vials_are_counted_once(context):
    allocation = replace(context.plan.allocation, vials=3, vial_text="3 x 1 mL, 1e+06 pfu_per_ml")
    assert derive_plan_view(with_plan(context, allocation=allocation)).allocations[0].vials == (
        "3 x 1 mL, 1 × 10⁶ PFU/mL"
    )


def test_the_needle_says_how_much_of_it_stands_outside_the_skin(context):
    puncture = context.plan.punctures[0]
    outside_mm = puncture.needle.length_mm - puncture.length_mm
    assert f"{outside_mm:.0f} mm outside the skin" in first(context).needle.note
