"""Follow-up over HTTP: every page's route gives what the engine gives, site and blinding kept."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from web_record import open_web_record

from hepatica.followup.safety.laboratory import LabValue, grade_laboratory
from hepatica.record.people import Role

TODAY = date.today()
FIRST = TODAY - timedelta(days=45)
STUDY = {
    "title": "T", "protocol_version": "1", "valid_from_date": "2020-01-01", "dose_protocol": "tvec-label",
    "schedule": "tvec-liver", "schedule_numbers": {"imaging.window": 7, "safety.window": 7, "survival.window": 14},
    "dlt_definition": "tvec-liver", "dlt_window_days": 28,
    "dlt_numbers": {
        "window": 28, "attribution": "agent or procedure", "criteria.grade.grade_min": 3,
        "evaluable.injections_min": 1, "evaluable.replace": True,
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """One treated patient with a week-6 scan due, of site s1; one of site s2."""
    web = open_web_record(tmp_path_factory.mktemp("followup"))
    web.add("study", "study1", STUDY, patient_id="", site_id="")
    patient = {
        "subject_id": "S-1",
        "status": "on_treatment",
        "reference_date": FIRST.isoformat(),
        "dose_level": 2,
    }
    web.add("patient", "p1", patient)
    web.add("patient", "p2", {**patient, "subject_id": "S-2"}, patient_id="p2", site_id="s2")
    for number, days in ((1, 0), (2, 21)):
        on = (FIRST + timedelta(days=days)).isoformat()
        values = {"name": "injection", "visit_number": number, "status": "done", "date": on}
        web.add("visit", f"v{number}", values)
    web.add(
        "visit", "other", {"name": "phone", "visit_number": 1, "status": "done", "date": FIRST.isoformat()}
    )
    web.people = {role: web.enter(role.value, role) for role in Role}
    web.coordinator = web.people[Role.COORDINATOR]
    yield web
    web.home.close()


def ask(client, path):
    answer = client.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer.json()


@pytest.mark.requirement("G-due")
def test_who_is_due_follows_from_the_schedule_and_says_why(web):
    found = ask(web.coordinator, "/api/due")
    assert {row["subject_id"] for row in found["rows"]} == {"S-1"}, "the other site's patient is not there"
    states = {(row["name"], row["number"]): row for row in found["rows"]}
    scan = states["imaging", 1]
    due = FIRST + timedelta(weeks=6)
    assert scan["due"] == due.isoformat() and scan["closes"] == (due + timedelta(days=7)).isoformat()
    assert scan["state"] == "due" and "6 weeks after the first injection" in scan["reason"]
    late = ask(web.coordinator, f"/api/due?as_of={(TODAY + timedelta(days=10)).isoformat()}")
    assert ("imaging", "overdue") in {(row["name"], row["state"]) for row in late["rows"]}
    assert late["counts"]["overdue"] >= 1 and late["rows"][0]["state"] == "overdue"


@pytest.mark.requirement("G-due")
@pytest.mark.parametrize(
    ("query", "total"),
    [("state=overdue&name=safety", 0), ("name=imaging", 1), ("search=s-1&name=imaging", 1), ("site_id=s2", 0), ("name=imaging&offset=1", 1)],
)  # fmt: skip
def test_the_list_is_filtered_and_paged_on_the_server(web, query, total):
    found = ask(web.coordinator, f"/api/due?{query}")
    assert found["total"] == total
    assert len(found["rows"]) == (0 if "offset" in query else total)


@pytest.mark.requirement("G-visits")
def test_a_calendar_holds_every_visit_of_the_schedule_and_what_the_schedule_does_not_know(web):
    found = ask(web.coordinator, "/api/patient/p1/visits")
    done = [row for row in found["rows"] if row["state"] == "done"]
    assert [(row["name"], row["study_day"]) for row in done] == [("injection", 1), ("injection", 22)]
    assert {row["name"] for row in found["rows"]} == {"injection", "imaging", "safety", "survival"}
    assert [item["values"]["name"] for item in found["unplaced"]] == ["phone"]
    assert {"name": "injection", "next_number": 3} in found["names"]


@pytest.mark.requirement("G-visits")
def test_an_entered_visit_is_done_and_a_removed_one_is_due_again(web):
    on = (FIRST + timedelta(weeks=6, days=1)).isoformat()
    body = {
        "patient_id": "p1",
        "values": {"name": "imaging", "visit_number": 1, "status": "done", "date": on},
    }
    made = web.coordinator.post("/api/visit", json=body, headers={"idempotency-key": "k1"})
    again = web.coordinator.post("/api/visit", json=body, headers={"idempotency-key": "k1"})
    assert made.status_code == 201 and again.json() == made.json()
    scan = {(r["name"], r["number"]): r for r in ask(web.coordinator, "/api/patient/p1/visits")["rows"]}[
        "imaging", 1
    ]
    assert (scan["state"], scan["on"], scan["item_id"]) == ("done", on, made.json()["item_id"])
    removed = web.coordinator.post(
        f"/api/visit/{made.json()['item_id']}/removal", json={"reason": "undone"}, headers={"if-match": '"1"'}
    )
    assert removed.status_code == 204
    scan = {(r["name"], r["number"]): r for r in ask(web.coordinator, "/api/patient/p1/visits")["rows"]}[
        "imaging", 1
    ]
    assert scan["state"] == "due" and scan["item_id"] == ""


@pytest.mark.requirement("G-events")
def test_an_event_is_judged_for_dose_grade_and_report(web):
    severe = {
        "term": "Belly ache", "ctcae_term": "Abdominal pain", "grade": 3, "serious": True,
        "start_date": (FIRST + timedelta(days=2)).isoformat(), "relation_to_agent": "UNLIKELY RELATED",
        "relation_to_procedure": "RELATED", "became_aware_time": f"{TODAY.isoformat()}T00:00:00+00:00",
    }  # fmt: skip
    web.add("adverse_event", "e1", severe)
    web.add("adverse_event", "e2", {**severe, "grade": 4, "serious": False, "start_date": TODAY.isoformat()})
    found = ask(web.coordinator, "/api/patient/p1/events")
    first, second = {row["item"]["item_id"]: row for row in found["rows"]}["e1"], found["rows"][0]
    assert first["dlt"]["state"] == "dlt" and first["dlt"]["cause"] == "procedure"
    assert 0 <= first["clock"]["left_h"] <= 24 and first["clock"]["limit_h"] == 24
    assert second["item"]["item_id"] == "e2" and second["dlt"]["state"] == "no" and second["clock"] is None
    assert second["grade_findings"], "abdominal pain has no grade 4"
    window = found["window"]
    assert (
        window["opens"] == FIRST.isoformat() and window["closes"] == (FIRST + timedelta(days=27)).isoformat()
    )
    assert window["patient"]["state"] == "dlt"


@pytest.mark.requirement("G-events")
def test_terms_are_found_by_their_words_with_the_grades_they_have(web):
    (pain,) = ask(web.coordinator, "/api/terms?search=abdominal%20pain")
    assert (pain["term"], pain["lowest"], pain["highest"]) == ("Abdominal pain", 1, 3)
    assert len(ask(web.coordinator, "/api/terms")) > 20
    assert ask(web.coordinator, "/api/terms?search=zzz") == []


@pytest.mark.requirement("G-labs")
def test_a_result_is_graded_against_the_last_one_before_the_first_injection(web):
    for number, (days, value) in enumerate([(-20, 30.0), (-2, 100.0), (0, 100.0), (5, 320.0)]):
        web.add(
            "laboratory", f"l{number}",
            {
                "test_code": "ALT", "value": value, "unit": "U/L", "lower_limit": 7.0, "upper_limit": 45.0,
                "date": (FIRST + timedelta(days=days)).isoformat(),
            },
        )  # fmt: skip
    web.add("laboratory", "x", {"test_code": "AFP", "value": 9.0, "unit": "ug/L", "date": FIRST.isoformat()})
    afp, alt = ask(web.coordinator, "/api/patient/p1/labs")["tests"]
    assert [row["is_baseline"] for row in alt["rows"]] == [False, False, True, False]
    wanted = grade_laboratory(
        LabValue(test="alt", value=320.0, upper=45.0, lower=7.0, baseline=100.0, baseline_upper=45.0)
    )
    assert alt["rows"][3]["grade"]["grade"] == wanted.grade == 2, "3.2 times an abnormal baseline"
    assert "no limits" in afp["rows"][0]["grade"]["not_evaluable"]


@pytest.mark.requirement("G-response")
def test_sums_of_injected_and_other_lesions_come_from_the_read_that_is_shown(web):
    content = web.context.files.keep_bytes(b"scan")
    injected = [FIRST.isoformat()]
    for label, dates in (("T1", injected), ("T2", None), ("N1", None)):
        values = {"lesion_label": label, "tracking_uid": f"2.25.{label[1]}", "location": "LIVER"}
        web.add("lesion", label, {**values, **({"injected_dates": dates} if dates else {})})
    sizes = {"c1": {"T1": 40.0, "T2": 20.0}, "c2": {"T1": 25.0, "T2": 22.0, "N1": 12.0}}
    for number, (scan, days) in enumerate((("c1", -5), ("c2", 42)), start=1):
        on = (FIRST + timedelta(days=days)).isoformat()
        values = {
            "series_uid": f"2.25.9{number}",
            "modality": "CT",
            "content_digest": content,
            "state": "accepted",
        }
        web.add("scan", scan, {**values, "acquired_date": on, "visit_number": number})
    read = {"reader_id": "u", "criterion": "recist-1.1", "scan_ids": ["c1", "c2"], "state": "locked"}
    web.add("read", "r1", {**read, "role": "reader_1"})
    web.add("read", "r2", {**read, "role": "reader_2"})
    for scan, found in sizes.items():
        for label, size in found.items():
            for reader, factor in (("r1", 1.0), ("r2", 1.1)):
                values = {
                    "read_id": reader,
                    "lesion_id": label,
                    "scan_id": scan,
                    "longest_diameter_mm": size * factor,
                }
                web.add("measurement", f"{reader}{scan}{label}", values)
    shown = ask(web.coordinator, "/api/patient/p1/response")
    assert shown["shown"] == "r1" and [read["read_id"] for read in shown["reads"]] == ["r1", "r2"]
    assert [point["size_mm"] for point in shown["injected"]] == [40.0, 25.0]
    assert [point["size_mm"] for point in shown["non_injected"]] == [20.0, 22.0]
    assert shown["injected"][1]["change_percent"] == -37.5 and shown["total"][1]["size_mm"] == 47.0
    assert shown["injection_days"] == [5] and shown["responses"][0]["overall"] == "PD"
    assert shown["responses"][0]["new_lesions"] == ["N1"]
    assert {one["label"]: one["group"] for one in shown["lesions"]} == {
        "T1": "injected",
        "T2": "non-injected",
        "N1": "new",
    }
    assert ask(web.coordinator, "/api/patient/p1/response?read_id=r2")["injected"][0]["size_mm"] == 44.0


@pytest.mark.requirement("G-response")
@pytest.mark.parametrize("part", ["visits", "events", "labs", "response"])
def test_readers_learn_nothing_of_the_treatment_here_and_other_sites_nothing_at_all(web, part):
    for role in (Role.READER_1, Role.READER_2, Role.ADJUDICATOR, Role.ADMINISTRATOR):
        assert web.people[role].get(f"/api/patient/p1/{part}").status_code == 403
        assert web.people[role].get("/api/due").status_code == 403
    assert web.coordinator.get(f"/api/patient/p2/{part}").status_code == 404
    assert web.coordinator.get(f"/api/patient/nobody/{part}").status_code == 404


@pytest.mark.requirement("G-due")
def test_without_a_protocol_version_nothing_is_due_and_the_answer_says_why(tmp_path):
    web = open_web_record(tmp_path)
    web.add_patient()
    client = web.enter("c", Role.COORDINATOR)
    assert "no protocol version" in ask(client, "/api/due")["schedule"]["not_evaluable"]
    assert "no protocol version" in ask(client, "/api/patient/p1/events")["window"]["not_evaluable"]
    assert ask(client, "/api/patient/p1/response")["missing"].startswith("no read")
    web.home.close()
