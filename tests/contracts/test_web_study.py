"""What a protocol version can be entered with, and what is told of one before it is entered."""

from __future__ import annotations

import pytest
from web_record import open_web_record

from hepatica.record.people import Role

LEVEL = {"concentration_pfu_per_ml": 1e6, "volume_ceiling_ml": 2.0}
GOOD = {
    "title": "T", "protocol_version": "1", "valid_from_date": "2026-01-01", "dose_protocol": "jx594-liver:1e8-pfu",
    "schedule": "tvec-liver", "schedule_numbers": {"imaging.window": 7}, "dlt_definition": "tvec-liver",
    "dlt_numbers": {"window": 28, "attribution": "any", "evaluable.replace": False}, "dlt_window_days": 28,
    "escalation_design": {"design": "3+3", "cohort_size": 3, "delay_days": 0, "levels": [LEVEL]},
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    opened = open_web_record(tmp_path_factory.mktemp("study"))
    yield opened
    opened.home.close()


@pytest.fixture(scope="module")
def client(web):
    return web.enter("dana", Role.DATA_MANAGER)


@pytest.mark.requirement("G-start-record")
def test_every_choice_that_is_offered_can_be_entered(client):
    choices = client.get("/api/study-choices").json()
    for field, key in (
        ("dose_protocol", "protocols"),
        ("schedule", "schedules"),
        ("dlt_definition", "definitions"),
    ):
        assert choices[key]
        for one in choices[key]:
            values = {"title": "T", field: one["name"]}
            assert client.post("/api/study-check", json={"values": values}).json() == {"problems": []}
    for design in choices["designs"]:
        more = {"target_fraction": 0.3} if design["needs_target"] else {}
        if design["needs_skeleton"]:
            more["options"] = {"skeleton": [0.2]}
        given = {**GOOD["escalation_design"], "design": design["name"], **more}
        values = {**GOOD, "escalation_design": given}
        assert client.post("/api/study-check", json={"values": values}).json() == {"problems": []}, design


@pytest.mark.requirement("G-start-record")
def test_filling_every_open_place_of_a_definition_leaves_nothing_open(client):
    for definition in client.get("/api/study-choices").json()["definitions"]:
        needed = [one for one in definition["open"] if one["needed"]]
        assert needed
        words = {"true": True}
        numbers = {one["key"]: words.get(word := (one["words"] or [3])[0], word) for one in needed}
        values = {
            **GOOD,
            "dlt_definition": definition["name"],
            "dlt_numbers": numbers,
            "dlt_window_days": None,
        }
        assert client.post("/api/study-check", json={"values": values}).json() == {"problems": []}


@pytest.mark.requirement("G-start-record")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"dose_protocol": "of-my-own"}, "'of-my-own'"),
        ({"schedule": "weekly"}, "'weekly'"),
        ({"schedule_numbers": {"imaging.window": "a week"}}, "finite number"),
        ({"schedule_numbers": {"imaging.colour": 1}}, "key of a number"),
        ({"dlt_numbers": {"criteria.grade.grade_min": 9}}, "grade from 1 to 5"),
        ({"dlt_window_days": 21}, "28 days as the definition says"),
        ({"escalation_design": {"design": "boin12"}}, "dose levels"),
    ],
)
def test_what_could_not_be_used_is_told_before_it_is_entered(client, change, said):
    assert client.post("/api/study-check", json={"values": GOOD}).json() == {"problems": []}
    (problem,) = client.post("/api/study-check", json={"values": {**GOOD, **change}}).json()["problems"]
    assert said in problem


@pytest.mark.requirement("G-start-record")
def test_the_answer_on_consent_says_what_each_scope_of_a_withdrawal_stops(web):
    web.add("patient", "p1", {"subject_id": "S-1", "status": "screening"}, patient_id="p1", site_id="s1")
    stops = web.enter("cora", Role.COORDINATOR).get("/api/patient/p1/consent").json()["stops"]
    assert stops["treatment"] == ["Plan", "Procedure"]
    narrow, middle, wide = (set(stops[scope]) for scope in sorted(stops, key=lambda one: len(stops[one])))
    assert narrow < middle < wide and "Adverse event" not in wide
