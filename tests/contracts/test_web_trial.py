"""The routes of the trial: counts of all sites, names of one's own, the answer of the engines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import timedelta

import pytest
from web_record import open_web_record

from hepatica.bootstrap import SystemClock
from hepatica.entrypoints.web.scan_routes import ScanHome
from hepatica.followup.safety.toxicity import ToxicityState
from hepatica.record.people import Role
from hepatica.trials.escalation import find_design
from hepatica.trials.outcomes import parse_outcomes
from hepatica.workflows.conduct.standing import derive_standing

LEVELS = [{"concentration_pfu_per_ml": 1e6, "volume_ceiling_ml": volume} for volume in (2.0, 4.0, 8.0)]
DESIGN = {"design": "boin", "target_fraction": 0.3, "cohort_size": 3, "delay_days": 7, "levels": LEVELS}
STUDY = {
    "title": "T", "protocol_version": "1", "valid_from_date": "2020-01-01", "dose_protocol": "tvec-label",
    "dlt_definition": "tvec-liver", "escalation_design": DESIGN,
    "dlt_numbers": {
        "window": 28, "attribution": "agent or procedure", "criteria.grade.grade_min": 3,
        "evaluable.injections_min": 1, "evaluable.replace": True,
    },
}  # fmt: skip


def day(ago: int) -> str:
    return (SystemClock().now().date() - timedelta(days=ago)).isoformat()


def add_injected(web, name, *, level, ago, site="s1", dlt=False, **more):
    values = {
        "subject_id": name.upper(), "status": "on_treatment", "dose_level": level, "reference_date": day(ago), **more,
    }  # fmt: skip
    web.add("patient", name, values, patient_id=name, site_id=site)
    if dlt:
        event = {
            "term": "Pain", "ctcae_term": "abdominal pain", "grade": 3, "start_date": day(ago - 1), "serious": False,
            "relation_to_agent": "RELATED", "relation_to_procedure": "NOT RELATED",
        }  # fmt: skip
        web.add("adverse_event", f"{name}-ae", event, patient_id=name, site_id=site)


def fill(web, *, study=STUDY, dlt=True):
    web.add("site", "s1", {"name": "North"}, patient_id="", site_id="")
    web.add("study", "study1", study, patient_id="", site_id="")
    for number in range(3):
        add_injected(web, f"a{number}", level=1, ago=200 - number)
    add_injected(web, "b0", level=2, ago=100, dlt=dlt)
    add_injected(web, "b1", level=2, ago=90, site="s2")
    add_injected(web, "b2", level=2, ago=10, site="s2")


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    made = open_web_record(tmp_path_factory.mktemp("trial"))
    fill(made)
    made.app.state.scan_home = ScanHome(home=made.home.folder)
    yield made
    made.home.close()


@pytest.fixture(scope="module")
def statistician(web):
    return web.enter("stat", Role.STATISTICIAN, sites=["s1", "s2"])


@pytest.mark.requirement("G-trial-next-dose")
def test_the_answer_is_that_of_the_design_for_the_same_patients(web, statistician):
    found = statistician.get("/api/trial").json()
    (population,) = found["populations"]
    assert population["outcomes"] == "1NNN 2TNP"
    told = find_design("boin", dose_count=3, target=0.3).next_dose(parse_outcomes("1NNN 2TNP")).to_dict()
    for key in ("recommended_dose", "reason", "action", "dose_admissible", "prob_tox", "continue"):
        assert population["advice"][key] == told[key]
    # Windows of 28 days from the day of the injection; it is day 11.
    assert population["advice"]["hold"] | {"why": ""} == {
        "why": "", "pending": 1, "days": 18.0, "earliest_date": day(-18),
    }  # fmt: skip
    (waits,) = population["open"]
    assert (waits["subject_id"], waits["closes_on"], waits["days_left"]) == ("B2", day(-17), 18)
    assert population["slots"] | {"why": ""} == {
        "dose": 2, "size": 3, "taken": 3, "assigned": 0, "free": 0, "earliest_date": day(-18), "days": 18, "why": "",
    }  # fmt: skip
    counts = [
        (level["injected"], level["evaluable"], level["dlts"], level["pending"])
        for level in population["levels"]
    ]
    assert counts == [(3, 3, 0, 0), (3, 2, 1, 1), (0, 0, 0, 0)]


@pytest.mark.requirement("G-trial-rights")
def test_counts_are_of_the_whole_trial_and_no_patient_of_another_site_is_named(web, statistician):
    nurse = web.enter("nurse", Role.COORDINATOR, sites=["s1"])
    all_sites = statistician.get("/api/trial").json()
    own = nurse.get("/api/trial")
    found = own.json()
    assert found["populations"][0]["advice"] == all_sites["populations"][0]["advice"]
    assert found["populations"][0]["levels"] == all_sites["populations"][0]["levels"]
    assert found["populations"][0]["open"] == [] and found["populations"][0]["open_elsewhere"] == 1
    assert (found["elsewhere"], found["sites"]) == (2, ["s1"])
    assert "B1" not in own.text and "B2" not in own.text and "b2" not in own.text


@pytest.mark.requirement("G-trial-rights")
@pytest.mark.parametrize(
    "role", [Role.READER_1, Role.ADJUDICATOR, Role.MONITOR, Role.AUDITOR, Role.ADMINISTRATOR]
)
def test_who_reads_blinded_or_only_watches_is_refused(web, role):
    client = web.enter(f"{role.value}-refused", role)
    for path in ("/api/trial", "/api/trial/outcomes"):
        answer = client.get(path)
        assert answer.status_code == 403 and answer.json()["code"] == "forbidden"


@pytest.mark.requirement("G-trial-outcomes")
def test_response_and_survival_come_from_a_process_of_their_own_and_are_kept_while_the_record_stands(
    web, statistician
):
    first = statistician.get("/api/trial/outcomes")
    assert first.status_code == 200, first.text
    found = first.json()
    assert found["subjects"] == 6 and found["sites"] == ["s1", "s2"]
    assert found["unverified"] and found["rates"] == []
    assert statistician.get("/api/trial/outcomes").json()["made_at"] == found["made_at"]
    assert statistician.get("/api/trial/outcomes", params={"criterion": "feeling"}).status_code == 422


@pytest.mark.requirement("G-trial-next-dose")
def test_a_patient_who_withdrew_inside_the_window_is_replaced_and_one_without_a_level_is_told(tmp_path):
    web = open_web_record(tmp_path)
    fill(web)
    consent = {
        "study_id": "study1", "form_version": "1", "signed_date": day(40), "withdrawn_date": day(25),
        "withdrawal_scope": "treatment_and_follow_up",
    }  # fmt: skip
    add_injected(web, "c0", level=2, ago=35)
    web.add("consent", "c0-consent", consent, patient_id="c0")
    web.add(
        "patient",
        "d0",
        {"subject_id": "D0", "status": "on_treatment", "reference_date": day(5)},
        patient_id="d0",
    )
    standing = derive_standing(web.context)
    (population,) = standing.populations
    states = {one.item.item_id: one.verdict.state for one in population.patients}
    assert states["c0"] is ToxicityState.NOT_EVALUABLE and population.data.count(2) == 3
    ((item, why),) = standing.uncounted
    assert item.item_id == "d0" and "dose level" in why.reason
    web.home.close()


@pytest.mark.requirement("G-trial-linked")
@pytest.mark.parametrize(("dlt", "cleared", "dose"), [(False, 2, 2), (True, 0, None)])
def test_a_following_population_goes_as_far_as_the_leading_one_has_cleared(tmp_path, dlt, cleared, dose):
    web = open_web_record(tmp_path)
    linked = {"leader": "non-HCC", "follower": "HCC", "follower_tumours": ["hcc"]}
    fill(web, study={**STUDY, "escalation_design": {**DESIGN, "populations": linked}}, dlt=dlt)
    for number in range(3):
        add_injected(web, f"h{number}", level=1, ago=150 - number, tumour_type="hcc")
    client = web.enter("stat", Role.STATISTICIAN, sites=["s1", "s2"])
    leader, follower = client.get("/api/trial").json()["populations"]
    assert (leader["name"], follower["name"]) == ("non-HCC", "HCC")
    assert (leader["outcomes"], follower["outcomes"]) == (f"1NNN 2{'T' if dlt else 'N'}NP", "1NNN")
    assert follower["advice"]["recommended_dose"] == dose
    assert f"--cleared {cleared} " in follower["command"]
    if dlt:
        # One of two at level 2 leads the others down to level 1: not even that is cleared.
        assert "level 2 stays closed until non-HCC has cleared it" in follower["advice"]["reason"]
        assert follower["slots"]["free"] == 0
    web.home.close()


@pytest.mark.requirement("G-trial-design")
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"escalation_design": {}}, "no escalation design"),
        ({"escalation_design": {**DESIGN, "design": "boin12"}}, "toxicity alone"),
        ({"dlt_definition": ""}, ""),
    ],
)
def test_a_protocol_that_leaves_the_design_open_gets_no_dose_but_the_reason(tmp_path, change, reason):
    web = open_web_record(tmp_path)
    fill(web, study={**STUDY, **change})
    found = web.enter("stat", Role.STATISTICIAN, sites=["s1"]).get("/api/trial")
    assert found.status_code == 200 and found.json()["populations"] == []
    assert reason in found.json()["plan_missing"]
    assert reason or found.json()["definition"]["missing"]
    web.home.close()


@pytest.mark.requirement("G-trial-light")
def test_the_next_dose_is_said_without_loading_a_numerical_library(tmp_path):
    script = """
import json, sys
from pathlib import Path
from hepatica.record.people import Role
from test_web_trial import fill
from web_record import open_web_record
web = open_web_record(Path(sys.argv[1]))
fill(web)
found = web.enter("stat", Role.STATISTICIAN, sites=["s1"]).get("/api/trial")
print(json.dumps([found.status_code, sorted({"numpy", "scipy", "pandas", "numba"} & set(sys.modules))]))
"""
    folders = [path for path in sys.path if path] + [os.path.dirname(__file__)]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(tmp_path)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [200, []]
