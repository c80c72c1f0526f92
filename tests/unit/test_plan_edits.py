"""A dose changed by hand, a backup chosen: what is done is held against what people asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from procedure_days import SETTINGS, make_day, make_plan_document, make_planned, replace_entry

from hepatica.core.errors import RecordInputError
from hepatica.procedure.edited import DoseChange, apply_edits, read_dose_changes
from hepatica.procedure.outputs import to_day_document, to_exposure_rows
from hepatica.procedure.planned import to_planned_day
from hepatica.procedure.state import derive_day

LESS = DoseChange(lesion_id="L1", volume_ml=1.0, reason="bled at the last visit")


def deviations(entries, planned):
    return {
        found.key: found for found in derive_day(entries, planned, settings=SETTINGS).comparison.deviations
    }


@pytest.mark.requirement("F-procedure-edits")
def test_a_changed_dose_is_what_the_deposits_are_held_against_and_its_reason_goes_into_exposure():
    planned = apply_edits(make_planned(), dose_changes=[LESS])
    assert planned.lesions["L1"].to_give_ml == 1.0 and planned.lesions["L2"] == make_planned().lesions["L2"]
    assert [d.volume_ml for d in planned.punctures["P1"].deposits] == [0.25] * 4
    assert [d.volume_ml for d in planned.punctures["P1b"].deposits] == [0.5, 0.5]
    as_before = deviations(make_day(), planned)
    assert (as_before["volume:L1"].planned, as_before["volume:L1"].performed) == (1.0, 2.0)
    halved = make_day()
    for order in (1, 2, 3, 4):
        halved = replace_entry(halved, f"e3{order}", volume_ml=0.25)
    assert deviations(halved, planned) == {}
    day = derive_day(halved, planned, settings=SETTINGS)
    rows = {row["EXLNKID"]: row for row in to_exposure_rows(day, planned, study="T", subject="S")}
    assert (rows["L1"]["EXADJ"], rows["L2"]["EXADJ"]) == ("bled at the last visit", "")
    document = to_day_document(day, planned, findings=(), as_of=halved[-1].occurred_at)
    assert document["dose_changes"] == [{"lesion_id": "L1", "volume_ml": 1.0, "reason": LESS.reason}]
    assert document["totals"]["planned_ml"] == 1.5


@pytest.mark.requirement("F-procedure-edits")
def test_a_chosen_backup_is_the_plan_and_the_first_choice_is_then_the_deviation():
    planned = apply_edits(make_planned(), chosen=["P1b"])
    through_first = deviations(make_day(), planned)
    assert through_first["puncture:N1"].message == "An entry that was not chosen was used."
    day = [entry for entry in make_day() if entry.entry_id not in ("e33", "e34")]
    day = replace_entry(day, "e21", puncture_id="P1b")
    for name in ("e31", "e32"):
        day = replace_entry(day, name, volume_ml=1.0)
    assert deviations(day, planned) == {}
    assert "puncture:N1" in deviations(day, make_planned())
    assert apply_edits(make_planned(), chosen=["P1", "P2"]) == make_planned()


@pytest.mark.requirement("F-procedure-edits")
def test_an_alternative_of_the_planner_can_be_chosen_by_the_name_it_is_shown_by():
    document = make_plan_document()
    other = {**document["backups"][0], "id": "any", "entry_lps_mm": [0.0, -80.0, 0.0]}
    bare = {**other, "tracks": [{"tip_lps_mm": [0.0, 0.0, 0.0], "deposits": []}]}
    document["paths"] = [{"lesion_id": "L1", "best": "P1", "backup": "P1b", "alternatives": [other, bare]}]
    planned = to_planned_day(document)
    assert planned.punctures["P1a1"].is_backup and "P1a2" not in planned.punctures
    after = apply_edits(planned, chosen=["P1a1"])
    assert not after.punctures["P1a1"].is_backup and after.punctures["P1"].is_backup
    assert sum(d.volume_ml for d in after.punctures["P1a1"].deposits) == after.lesions["L1"].to_give_ml


@pytest.mark.requirement("F-procedure-edits")
def test_a_backup_with_less_room_leaves_the_rest_planned_as_not_given_and_others_keep_their_puncture():
    document = make_plan_document()
    document["backups"][0]["tracks"][0]["deposits"].pop()
    shared = {"point_lps_mm": [60.0, 0.0, 0.0], "volume_ml": 0.2, "lesion_id": "L2", "order": 5}
    document["punctures"][0]["tracks"][0]["deposits"].append(shared)
    planned = apply_edits(to_planned_day(document), chosen=["P1b"])
    assert planned.lesions["L1"].undelivered_ml == planned.lesions["L1"].to_give_ml == 1.0
    assert [d.lesion_id for d in planned.punctures["P1"].deposits] == ["L2"]
    assert not planned.punctures["P1"].is_backup


@pytest.mark.requirement("F-procedure-edits")
def test_a_lesion_set_to_nothing_gets_nothing_and_what_is_given_all_the_same_is_a_deviation():
    planned = apply_edits(make_planned(), dose_changes=[replace(LESS, volume_ml=0.0)])
    assert [lesion.lesion_id for lesion in planned.injected] == ["L2"]
    assert deviations(make_day(), planned)["lesion:L1"].performed == 2.0


@pytest.mark.requirement("F-procedure-edits")
@pytest.mark.parametrize(
    ("chosen", "changes"),
    [
        (["P9"], []),
        (["P1b", "P1b"], []),
        (["P1b", "P1"], []),
        ([], [DoseChange(lesion_id="L3", volume_ml=1.0, reason="r")]),
        ([], [DoseChange(lesion_id="L9", volume_ml=1.0, reason="r")]),
        ([], [DoseChange(lesion_id="L1", volume_ml=3.6, reason="r")]),
    ],
)
def test_what_the_plan_cannot_do_is_refused(chosen, changes):
    with pytest.raises(RecordInputError):
        apply_edits(make_planned(), chosen=chosen, dose_changes=changes)


@pytest.mark.parametrize(
    "rows",
    [
        "L1", [1], [{"lesion_id": "L1", "volume_ml": 1.0}],
        [{"lesion_id": "L1", "volume_ml": -1.0, "reason": "r"}],
        [{"lesion_id": "L1", "volume_ml": float("nan"), "reason": "r"}],
        [{"lesion_id": "L1", "volume_ml": True, "reason": "r"}],
        [{"lesion_id": "L1", "volume_ml": 1.0, "reason": "  "}],
        [{"lesion_id": "L1", "volume_ml": 1.0, "reason": "r"}] * 2,
    ],
)  # fmt: skip
def test_a_change_of_dose_without_a_number_or_a_reason_is_refused(rows):
    with pytest.raises(RecordInputError):
        read_dose_changes(rows)
