"""Reports from the record: a small trial entered by its people, reported like files, by command and by job."""

from __future__ import annotations

import csv
import io
import json
from types import SimpleNamespace

import pytest
from procedure_days import make_day, make_plan_document
from typer.testing import CliRunner
from web_jobs import open_world, run_next
from web_record import open_web_record

from hepatica.core.errors import ForbiddenError, NotFoundError, UsageError
from hepatica.entrypoints.cli.main import app
from hepatica.procedure.document import to_entry_document
from hepatica.record.job import JobState
from hepatica.record.people import Role
from hepatica.workflows.record_tables import read_record_tables

pytestmark = pytest.mark.xdist_group("record-report")
READER_ROLES = {"r1": "reader_1", "r2": "reader_2", "adj": "adjudicator"}


def add_read(web, patient, name, *, sizes, state="locked", criterion="recist-1.1", **more):
    """A read of two scans: L1 target, L2 target, sizes by scan."""
    values = {
        "reader_id": f"u-{name}", "role": READER_ROLES[name], "criterion": criterion,
        "scan_ids": [f"{patient}-s1", f"{patient}-s2"], "state": state, **more,
    }  # fmt: skip
    web.add("read", f"{patient}-{name}", values, patient_id=patient)
    for scan, pair in zip(("s1", "s2"), sizes):
        for lesion, size in zip(("L1", "L2"), pair):
            mark = {
                "read_id": f"{patient}-{name}", "lesion_id": f"{patient}-{lesion}", "scan_id": f"{patient}-{scan}",
                "lesion_role": "TARGET", "longest_diameter_mm": size,
            }  # fmt: skip
            web.add("measurement", f"{patient}-{name}-{scan}-{lesion}", mark, patient_id=patient)


def add_trial_patient(web, patient, *, site="s1", procedure=True, **more):
    values = {
        "subject_id": f"S-{patient}", "status": "on_treatment", "tumour_type": "hcc", "cohort": "HCC",
        "dose_level": 2, "last_known_alive_date": "2026-06-30", **more,
    }  # fmt: skip
    web.add("patient", patient, values, patient_id=patient, site_id=site)
    consent = {"study_id": "study", "form_version": "1", "signed_date": "2026-02-20"}
    web.add("consent", f"{patient}-c", consent, patient_id=patient, site_id=site)
    for name, place in (("L1", "LIVER"), ("L2", "LIVER")):
        lesion = {"lesion_label": name, "tracking_uid": f"2.25.{ord(name[1])}", "location": place}
        web.add("lesion", f"{patient}-{name}", lesion, patient_id=patient, site_id=site)
    for number, day in ((1, "2026-02-25"), (2, "2026-05-01")):
        scan = {
            "series_uid": f"2.25.{number}", "modality": "CT", "state": "accepted", "visit_number": number,
            "acquired_date": day, "content_digest": "0" * 64,
        }  # fmt: skip
        web.add("scan", f"{patient}-s{number}", scan, patient_id=patient, site_id=site)
    if procedure:
        digest = web.context.files.keep_bytes(json.dumps(make_plan_document()).encode())
        plan = {
            "scan_id": f"{patient}-s1",
            "visit_number": 1,
            "status": "cleared",
            "files": {"plan.json": digest},
        }
        web.add("plan", f"{patient}-plan", plan, patient_id=patient, site_id=site)
        entries = [to_entry_document(entry) for entry in make_day()]
        day = {"plan_id": f"{patient}-plan", "visit_number": 1, "state": "closed", "entries": entries}
        web.add("procedure", f"{patient}-day", day, patient_id=patient, site_id=site)


@pytest.fixture(scope="module")
def trial(tmp_path_factory):
    """p1: adjudicated; p2: one reader, an injection without a procedure; p3: screened; p4: another site."""
    web = open_web_record(tmp_path_factory.mktemp("trial"))
    study = {
        "title": "LIVER-1",
        "protocol_version": "1",
        "valid_from_date": "2026-01-01",
        "dose_protocol": "tvec-label",
    }
    web.add("study", "study", study, patient_id="", site_id="")
    add_trial_patient(web, "p1")
    add_read(web, "p1", "r1", sizes=((40.0, 20.0), (38.0, 20.0)))
    add_read(web, "p1", "r2", sizes=((40.0, 20.0), (20.0, 10.0)))
    add_read(web, "p1", "adj", sizes=(), adjudicates=["p1-r1", "p1-r2"], chosen_read_id="p1-r2")
    event = {
        "term": "Fever", "ctcae_term": "Fever", "grade": 2, "start_date": "2026-03-03", "serious": False,
        "relation_to_agent": "RELATED", "relation_to_procedure": "NOT RELATED",
    }  # fmt: skip
    web.add("adverse_event", "ae1", event, patient_id="p1")
    identity = {"family_name": "Mustermann", "birth_date": "1951-02-03"}
    web.add("identity", "i1", identity, patient_id="p1")
    add_trial_patient(web, "p2", procedure=False, death_date="2026-06-15", last_known_alive_date="2026-06-15")
    add_read(web, "p2", "r1", sizes=((30.0, 30.0), (45.0, 45.0)))
    add_read(web, "p2", "r2", sizes=((30.0, 30.0), (1.0, 1.0)), state="started")
    with web.context.store.writing() as writer:
        from hepatica.workflows.change_item import change_item

        change_item(
            web.context, writer, kind="lesion", item_id="p2-L1", values={"injected_dates": ["2026-03-04"]},
            expected_version=1, reason="day",
        )  # fmt: skip
    screened = {"subject_id": "S-p3", "status": "screening"}
    web.add("patient", "p3", screened, patient_id="p3")
    add_trial_patient(web, "p4", site="s2")
    yield web
    web.home.close()


def report_by_command(trial, out, *more):
    result = CliRunner().invoke(
        app, ["trial", "report", "--home", str(trial.home.folder), "--out", str(out), "--format", "csv", "--json", *more]
    )  # fmt: skip
    return result, (json.loads(result.stdout) if result.stdout.strip() else None)


@pytest.fixture(scope="module")
def reported(trial, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "report"
    result, document = report_by_command(trial, out, "--site", "s1")
    assert document is not None, (result.stderr, result.exception)
    tables = {}
    for path in (out / "datasets").glob("*.csv"):
        tables[path.stem.upper()] = list(csv.DictReader(io.StringIO(path.read_text())))
    return SimpleNamespace(result=result, document=document, tables=tables, out=out)


@pytest.mark.requirement("E-report-record")
def test_the_record_gives_all_datasets_with_the_values_that_were_entered(reported):
    tables = reported.tables
    assert {"ADSL", "ADAE", "ADEX", "ADTR", "ADRS", "ADTTE"} <= set(tables)
    subjects = {row["USUBJID"]: row for row in tables["ADSL"]}
    assert sorted(subjects) == ["S-p1", "S-p2", "S-p3"]
    assert [subjects[name]["SAFFL"] for name in sorted(subjects)] == ["Y", "Y", "N"]
    assert subjects["S-p1"]["TRT01P"] == "HCC, Dose level 2" and subjects["S-p1"]["TRTSDT"] == "2026-03-02"
    assert subjects["S-p2"]["DTHDT"] == "2026-06-15" and subjects["S-p3"]["EOSSTT"] == "NOT ENROLLED"
    # A consent is a milestone: it does not end anything.
    assert (subjects["S-p1"]["EOSSTT"], subjects["S-p1"]["DCSREAS"]) == ("ONGOING", "")
    assert subjects["S-p1"]["AGE"] == "" == subjects["S-p1"]["SEX"], "what is sealed or absent is missing"
    # 2 mL into L1 and 0.5 mL into L2 at 1e6 PFU per mL, closed form of the day; a leak is told, not subtracted here.
    doses = {
        (row["LNKID"], row["PARAMCD"]): float(row["AVAL"])
        for row in tables["ADEX"]
        if row["USUBJID"] == "S-p1" and row["PARCAT1"] == "INJECTION"
    }
    assert doses["L1", "VOLUME"] == pytest.approx(2.0) and doses["L1", "DOSE"] == pytest.approx(2e6)
    (event,) = tables["ADAE"]
    assert (event["AEDECOD"], event["TRTEMFL"], event["RELAGFL"], event["RELPRFL"]) == (
        "Fever",
        "Y",
        "Y",
        "N",
    )


@pytest.mark.requirement("E-report-record")
def test_the_read_that_was_chosen_or_the_only_locked_one_makes_the_response(reported):
    sums = {
        (row["USUBJID"], row["AVISITN"]): float(row["AVAL"])
        for row in reported.tables["ADTR"]
        if row["GRPID"] == "" and row["PARAMCD"] == "SDIAM"
    }
    expected = {("S-p1", "1"): 60.0, ("S-p1", "2"): 30.0, ("S-p2", "1"): 60.0, ("S-p2", "2"): 90.0}
    assert sums == expected
    best = {
        row["USUBJID"]: row["AVALC"]
        for row in reported.tables["ADRS"]
        if row["PARAMCD"] == "BOR" and row["GRPID"] in ("", "ALL")
    }
    # p1: 60 to 30 mm by the second reader, whom the adjudicator chose; p2: 60 to 90 mm by the only locked read.
    assert best["S-p1"] == "PR" and best["S-p2"] == "PD"
    groups = {row["GRPID"] for row in reported.tables["ADRS"] if row["USUBJID"] == "S-p1"}
    assert "INJECTED" in {group.upper() for group in groups}


@pytest.mark.requirement("E-report-record")
def test_what_is_missing_is_reported_as_missing(reported):
    rules = {
        (finding["table"], finding["rule"]): finding["message"] for finding in reported.document["findings"]
    }
    assert "missing, not 0" in rules["lesion", "record.lesion"]
    assert "no consent" in rules["consent", "record.consent"]
    assert "no read" in rules["read", "record.read"]
    given = [row for row in reported.tables["ADEX"] if row["USUBJID"] == "S-p2" and row["PARAMCD"] == "DOSE"]
    assert given == []


@pytest.mark.requirement("E-report-record")
def test_nothing_of_an_identity_another_site_or_an_open_read_is_in_a_report(reported, trial):
    for path in reported.out.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            for secret in (b"Mustermann", b"1951-02-03", b"S-p4", str(trial.home.folder).encode()):
                assert secret not in data, path.name
    assert not any(row["AVAL"] in ("1", "2", "1.0", "2.0") for row in reported.tables["ADTR"])


@pytest.mark.requirement("E-report-record")
def test_the_same_tables_as_files_give_the_same_datasets(reported, trial, tmp_path):
    from hepatica.bootstrap import make_trial_report_ports
    from hepatica.workflows.record_tables import write_record_tables
    from hepatica.workflows.trial_report import TrialReportRequest, report_trial

    ports = make_trial_report_ports()
    folder = tmp_path / "sdtm"
    folder.mkdir()
    tables = read_record_tables(trial.context, site_id="s1")
    write_record_tables(tables, folder, write_table=ports.data.write_table)
    report_trial(TrialReportRequest(folder=folder, formats=("csv",)), ports=ports, out=tmp_path / "again")
    for path in (reported.out / "datasets").glob("*.csv"):
        assert (tmp_path / "again" / "datasets" / path.name).read_bytes() == path.read_bytes(), path.name


@pytest.mark.requirement("E-report-record")
def test_a_site_without_patients_or_both_inputs_are_refused(trial, tmp_path):
    result, _ = report_by_command(trial, tmp_path / "x", "--site", "nowhere")
    assert isinstance(result.exception, NotFoundError) and not (tmp_path / "x").exists()
    both = CliRunner().invoke(
        app, ["trial", "report", str(tmp_path), "--home", str(tmp_path), "--out", str(tmp_path / "y")]
    )
    assert isinstance(both.exception, UsageError)
    neither = CliRunner().invoke(app, ["trial", "report", "--out", str(tmp_path / "y")])
    assert isinstance(neither.exception, UsageError) and not (tmp_path / "y").exists()


@pytest.mark.requirement("E-report-record")
@pytest.mark.parametrize(
    "role", [Role.READER_1, Role.READER_2, Role.ADJUDICATOR, Role.MONITOR, Role.ADMINISTRATOR]
)
def test_who_reads_blinded_or_keeps_accounts_gets_no_tables(trial, role):
    from dataclasses import replace

    from hepatica.record.people import Actor

    actor = Actor(account_id="u", roles=frozenset({role}), site_ids=frozenset({"s1"}))
    with pytest.raises(ForbiddenError):
        read_record_tables(replace(trial.context, actor=actor), site_id="s1")
    statistician = Actor(account_id="u", roles=frozenset({Role.STATISTICIAN}), site_ids=frozenset({"s1"}))
    context = replace(trial.context, actor=statistician)
    assert read_record_tables(context, site_id="s1").subjects == 3
    with pytest.raises(ForbiddenError):
        read_record_tables(context, site_id="s2")
    with pytest.raises(NotFoundError):
        read_record_tables(context)


def submit(client, **request):
    return client.post("/api/job", json={"kind": "report", "request": request})


@pytest.mark.requirement("F-jobs-report")
@pytest.mark.parametrize(("about", "page"), [("trial", "trial.html"), ("response", "response.html")])
def test_a_report_job_makes_an_item_of_the_site_whose_files_are_delivered(trial, about, page):
    statistician = trial.enter(f"stat-{about}", Role.STATISTICIAN)
    assert submit(statistician, about=about, site_id="s1").status_code == 202
    state, job = run_next(trial, open_world(trial))
    assert state is JobState.DONE, job.result
    report_id = job.result["report_id"]
    item = statistician.get(f"/api/report/{report_id}").json()
    assert item["site_id"] == "s1" and item["values"]["about"] == about and page in item["values"]["files"]
    answer = statistician.get(f"/api/files/report/{report_id}/{page}")
    assert answer.status_code == 200 and "sandbox" in answer.headers["content-security-policy"]
    assert b"Mustermann" not in answer.content
    other = trial.enter(f"far-{about}", Role.STATISTICIAN, sites=["s2"])
    reader = trial.enter(f"rob-{about}", Role.READER_1)
    assert other.get(f"/api/files/report/{report_id}/{page}").status_code == 404
    assert reader.get(f"/api/report/{report_id}").status_code == 403
    with trial.context.store.reading() as store:
        actions = [event.action.value for event in store.read_events(kind="report", item_id=report_id)]
    assert actions == ["create", "export"]
    assert statistician.post("/api/report", json={"values": {}}).status_code in (404, 405)


@pytest.mark.requirement("F-jobs-report")
def test_a_report_job_asks_for_right_and_site_when_it_runs_and_writes_nothing_when_cancelled(trial):
    world = open_world(trial)
    far = trial.enter("far", Role.STATISTICIAN, sites=["s2"])
    assert submit(far, about="trial", site_id="s1").status_code == 403
    for role in (Role.READER_1, Role.MONITOR):
        assert submit(trial.enter(f"no-{role}", role), about="trial", site_id="s1").status_code == 403
    gone = trial.enter("gone", Role.STATISTICIAN)
    account_id = gone.get("/api/me").json()["account_id"]
    left = submit(gone, about="trial", site_id="s1").json()["job_id"]
    assert far.get(f"/api/job/{left}").status_code == 404
    boss = trial.enter("boss", Role.ADMINISTRATOR)
    version = {"if-match": boss.get(f"/api/account/{account_id}").headers["etag"]}
    moved = boss.patch(
        f"/api/account/{account_id}", json={"site_ids": ["s2"], "reason": "moved"}, headers=version
    )
    assert moved.status_code == 200, moved.text
    state, job = run_next(trial, world)
    assert state is JobState.FAILED and job.result["error"]["code"] == "forbidden"
    near = trial.enter("near", Role.STATISTICIAN)
    for wrong in (
        {"about": "all"}, {"site_id": ""}, {"site_id": "../s1"}, {"criterion": "itrecist"}, {"rules": "/etc/passwd"},
        {"surprise": 1},
    ):  # fmt: skip
        answer = submit(near, **{"about": "trial", "site_id": "s1", **wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, "record_input"), wrong
    before = near.get("/api/report").json()["total"]
    job_id = submit(near, about="trial", site_id="s1").json()["job_id"]
    assert near.post(f"/api/job/{job_id}/cancel").status_code == 200
    assert near.get(f"/api/job/{job_id}").json()["state"] == "cancelled"
    assert submit(near, about="response", site_id="s1", criterion="mrecist").status_code == 202
    state, job = run_next(trial, world)
    assert state is JobState.FAILED and job.result["error"]["code"] == "input"
    assert near.get("/api/report").json()["total"] == before
    assert str(trial.home.folder) not in json.dumps(dict(job.result))


@pytest.mark.requirement("F-jobs-report")
def test_a_report_that_is_cancelled_while_it_is_made_leaves_nothing(trial):
    from dataclasses import replace

    world, doctor = open_world(trial), trial.enter("stopper", Role.INVESTIGATOR)
    before = doctor.get("/api/report").json()["total"]
    job_id = submit(doctor, about="trial", site_id="s1").json()["job_id"]

    def make_ports():
        assert doctor.post(f"/api/job/{job_id}/cancel").status_code == 200
        return world.make_report_ports()

    state, job = run_next(trial, replace(world, make_report_ports=make_ports))
    assert (state, job.state) == (JobState.CANCELLED, JobState.CANCELLED)
    assert doctor.get("/api/report").json()["total"] == before
    assert list((trial.home.folder / "scratch").iterdir()) == []
