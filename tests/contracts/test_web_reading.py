"""The page of a read: verdicts from its own marks alone, and nothing that a blinded reader must not know."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from web_record import PASSWORD, open_web_record

from hepatica.record.people import Role

SCANS = ["scan1", "scan2", "scan3"]
TARGETS_MM = {"l1": (40.0, 24.0, 30.0), "l2": (20.0, 16.0, 24.0)}
"""Sums 60, 40 and 54 mm: a third less is PR; then 14 mm and 35 % above the nadir is PD (RECIST 1.1, 20 % and 5 mm)."""


@pytest.fixture
def case(tmp_path):
    web = open_web_record(tmp_path)
    web.add_patient()
    for number, name in enumerate([*SCANS, "day-of-injection"], start=1):
        digest = web.context.files.keep_bytes(name.encode())
        web.add("scan", name, {"series_uid": f"2.25.{number}", "modality": "CT", "state": "accepted",
                               "content_digest": digest, "visit_number": number, "acquired_date": f"2026-0{number}-01"})  # fmt: skip
    for name in ("l1", "l2"):
        values = {"lesion_label": name.upper(), "tracking_uid": f"2.25.{name[1]}", "location": "LIVER"}
        web.add("lesion", name, values)
    doctor = web.enter("ida", Role.INVESTIGATOR)
    body = {"values": {"injected_dates": ["2026-01-05"]}, "reason": "injected"}
    assert doctor.patch("/api/lesion/l1", json=body, headers={"if-match": '"1-x"'}).status_code == 200
    people = {
        role: web.enter(f"{role.value}@north", role)
        for role in (Role.READER_1, Role.READER_2, Role.ADJUDICATOR, Role.COORDINATOR, Role.DATA_MANAGER)
    }
    ids = {role: client.get("/api/me").json()["account_id"] for role, client in people.items()}
    yield SimpleNamespace(web=web, doctor=doctor, people=people, ids=ids)
    web.home.close()


def assign(case, role, *, criterion="recist-1.1", adjudicates=()):
    body = {"patient_id": "p1", "reader_id": case.ids[role], "criterion": criterion, "scan_ids": SCANS,
            "adjudicates": list(adjudicates)}  # fmt: skip
    answer = case.people[Role.COORDINATOR].post("/api/read", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()["item_id"]


def measure(case, role, read_id, *, factor=1.0):
    for lesion, sizes in TARGETS_MM.items():
        for scan, size in zip(SCANS, sizes, strict=True):
            body = {"lesion_id": lesion, "scan_id": scan, "longest_diameter_mm": size * factor, "lesion_role": "TARGET",
                    "state": "PRESENT", "ends_lps_mm": [[0, 0, 0], [size * factor, 0, 0]]}  # fmt: skip
            assert case.people[role].post(f"/api/read/{read_id}/measurement", json=body).status_code == 201


def look(client, read_id):
    answer = client.get(f"/api/read/{read_id}/page")
    assert answer.status_code == 200, answer.text
    return answer.json()


def lock(case, role, read_id):
    client = case.people[role]
    tag = client.get(f"/api/read/{read_id}").headers["etag"]
    assert client.post(f"/api/read/{read_id}/lock", headers={"if-match": tag}).status_code == 200


@pytest.mark.requirement("G-reads-verdict")
def test_the_verdict_follows_from_the_reads_own_marks_with_sums_nadir_and_reasons(case):
    read_id = assign(case, Role.READER_1)
    empty = look(case.people[Role.READER_1], read_id)
    assert empty["verdicts"]["verdicts"] == [] and "baseline" in empty["verdicts"]["not_evaluable"]
    other = assign(case, Role.READER_2)
    measure(case, Role.READER_2, other, factor=2.0)
    assert look(case.people[Role.READER_1], read_id)["verdicts"] == empty["verdicts"]
    measure(case, Role.READER_1, read_id)
    rows = look(case.people[Role.READER_1], read_id)["verdicts"]["verdicts"]
    assert [(row["visit_number"], row["overall"]) for row in rows] == [(2, "PR"), (3, "PD")]
    numbers = rows[1]["trail"]["numbers"]
    assert (numbers["sum"], numbers["baseline"], numbers["nadir"]) == (54.0, 60.0, 40.0)
    assert numbers["lesions"] == {"L1": 30.0, "L2": 24.0} and rows[1]["rule"]


@pytest.mark.requirement("G-reads-verdict")
def test_new_lesions_count_when_unequivocal_and_not_while_they_are_only_suspected(case):
    read_id, client = assign(case, Role.READER_1), case.people[Role.READER_1]
    measure(case, Role.READER_1, read_id)
    made = client.post(f"/api/read/{read_id}/lesion", json={"location": "liver", "segment": "8"})
    assert made.status_code == 201 and made.json()["values"]["lesion_label"] == "R1-N01"
    body = {
        "lesion_id": made.json()["item_id"],
        "scan_id": "scan2",
        "lesion_role": "NEW",
        "state": "EQUIVOCAL",
    }
    mark = client.post(f"/api/read/{read_id}/measurement", json=body)
    first = look(client, read_id)["verdicts"]["verdicts"][0]
    assert (first["overall"], first["new"]) == ("PR", "EQUIVOCAL")
    change = {"state": "UNEQUIVOCAL", "reason": "seen in the portal phase"}
    path = f"/api/read/{read_id}/measurement/{mark.json()['item_id']}"
    assert client.patch(path, json=change, headers={"if-match": mark.headers["etag"]}).status_code == 200
    first = look(client, read_id)["verdicts"]["verdicts"][0]
    assert (first["overall"], first["new"]) == ("PD", "Y")


@pytest.mark.requirement("G-reads-blinded")
def test_a_blinded_readers_page_holds_no_treatment_no_dates_and_nobody_elses_marks_or_lesions(case):
    read_id, other = assign(case, Role.READER_1), assign(case, Role.READER_2)
    measure(case, Role.READER_2, other, factor=1.1)
    found = case.people[Role.READER_2].post(f"/api/read/{other}/lesion", json={"location": "LIVER"}).json()
    client = case.people[Role.READER_1]
    page = client.get(f"/api/read/{read_id}/page")
    for word in (
        "inject",
        "dose",
        "plan",
        "2026-0",
        "day-of-injection",
        found["item_id"],
        case.ids[Role.READER_2],
    ):
        assert word not in page.text.replace("is_blinded", ""), word
    assert page.json()["marks"] == [] and page.json()["is_blinded"] and page.json()["pair"] == []
    assert client.get(f"/api/read/{other}/page").status_code == 404
    assert client.get(f"/api/lesion/{found['item_id']}").status_code == 404
    assert found["item_id"] not in client.get("/api/lesion").text
    assert client.post(f"/api/read/{other}/lesion", json={"location": "LIVER"}).status_code == 403
    assert [row["read_id"] for row in client.get("/api/reading").json()["rows"]] == [read_id]
    whole = case.doctor.get(f"/api/read/{read_id}/page").json()
    assert [scan["acquired_date"] for scan in whole["scans"]] == ["2026-01-01", "2026-02-01", "2026-03-01"]
    assert found["item_id"] in [row["lesion_id"] for row in whole["lesions"]]


@pytest.mark.requirement("G-reads-blinded")
def test_itrecist_parts_by_injection_only_after_the_lock(case):
    read_id, client = assign(case, Role.READER_1, criterion="itrecist"), case.people[Role.READER_1]
    measure(case, Role.READER_1, read_id)
    before = look(client, read_id)["verdicts"]
    assert before["verdicts"] == [] and "locked" in before["not_evaluable"]
    lock(case, Role.READER_1, read_id)
    groups = {row["group"] for row in look(client, read_id)["verdicts"]["verdicts"]}
    assert len(groups) > 1


@pytest.mark.requirement("G-reads-adjudicate")
def test_two_locked_reads_wait_for_a_decision_stand_side_by_side_and_one_is_chosen_with_a_reason(case):
    reads = [assign(case, role) for role in (Role.READER_1, Role.READER_2)]
    for role, read_id, factor in zip((Role.READER_1, Role.READER_2), reads, (1.0, 1.05), strict=True):
        measure(case, role, read_id, factor=factor)
        lock(case, role, read_id)
    manager = case.people[Role.DATA_MANAGER]
    (pair,) = manager.get("/api/reading").json()["pairs"]
    assert pair["read_ids"] == reads and pair["responses"] == [["PR", "PD"], ["PR", "PD"]]
    assert pair["difference_count"] == 6 and not pair["responses_differ"]
    assert case.people[Role.READER_1].get("/api/reading").json()["pairs"] == []
    names = manager.get("/api/reading/readers").json()
    assert [row["role"] for row in names] == ["adjudicator", "reader_1", "reader_2"]
    decision = assign(case, Role.ADJUDICATOR, adjudicates=reads)
    assert manager.get("/api/reading").json()["pairs"] == []
    judge = case.people[Role.ADJUDICATOR]
    page = look(judge, decision)
    assert [part["read"]["item_id"] for part in page["pair"]] == reads and page["verdicts"] is None
    row = page["differences"][0]
    assert (row["visit_number"], row["lesion_label"]) == (1, "L1")
    assert [value["longest_diameter_mm"] for value in row["values"]] == [40.0, 42.0]
    body = {"chosen_read_id": reads[1], "reason": "margins in the portal phase"}
    chosen = judge.post(f"/api/read/{decision}/choice", json=body, headers={"if-match": page["etag"]})
    assert chosen.status_code == 200
    lock(case, Role.ADJUDICATOR, decision)
    after = look(judge, decision)["read"]
    assert (after["chosen_read_id"], after["locked"]) == (reads[1], True)
    assert after["choice_reason"] == "margins in the portal phase"


@pytest.mark.requirement("G-reads-lock")
def test_a_wrong_password_locks_nothing_and_the_right_one_locks_marks_and_signs_what_was_locked(case):
    read_id, client = assign(case, Role.READER_1), case.people[Role.READER_1]
    measure(case, Role.READER_1, read_id)
    tag, path = look(client, read_id)["etag"], f"/api/read/{read_id}/signed-lock"
    body = {"meaning": "read complete and correct", "password": "another one"}
    assert client.post(path, json=body, headers={"if-match": tag}).status_code == 403
    assert look(client, read_id)["read"]["state"] == "started"
    body["password"] = PASSWORD
    assert client.post(path, json=body, headers={"if-match": tag}).status_code == 200
    page = look(client, read_id)
    assert page["read"]["locked"] and page["read"]["state"] == "locked"
    (signature,) = client.get(f"/api/signatures/read/{read_id}").json()
    assert (signature["state"], signature["meaning"]) == ("valid", "read complete and correct")
    mark = page["marks"][0]
    change = {"longest_diameter_mm": 1.0, "reason": "afterwards"}
    path = f"/api/read/{read_id}/measurement/{mark['measurement_id']}"
    assert client.patch(path, json=change, headers={"if-match": mark["etag"]}).status_code == 423
    removal = client.post(f"{path}/removal", json={"reason": "r"}, headers={"if-match": mark["etag"]})
    assert removal.status_code == 423
    assert client.post(f"/api/read/{read_id}/lesion", json={"location": "LIVER"}).status_code == 409
