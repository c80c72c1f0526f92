"""A record is started from its pages: protocol version, patient, consent, visits due, withdrawal."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from browser_case import LAPTOP, TABLET, open_case
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = pytest.mark.xdist_group("browser-start")
TODAY = datetime.now(UTC).date()
BEGAN, SIGNED, INJECTED = TODAY - timedelta(days=90), TODAY - timedelta(days=30), TODAY - timedelta(days=21)
PEOPLE = {"dana": Role.DATA_MANAGER, "cora": Role.COORDINATOR, "rita": Role.READER_1}
OPEN_IN_DEFINITION = {
    "DLT window": "28", "Least injections to be evaluable": "1", "Lowest grade that counts": "3",
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A new clinical record: a site, its people, and one patient whom the reader may see."""
    home = tmp_path_factory.mktemp("start") / "home"
    with make_record(home, mode="clinical") as record:
        ids = {}

        def add(kind, name, values, *, patient="", site="s1"):
            item = Item(
                kind=kind, item_id=name, site_id=site, patient_id=patient, version=1, values=values
            )  # fmt: skip
            with record.context.store.writing() as writer:
                create_item(record.context, writer, item=item)

        add("site", "s1", {"name": "North"}, site="")
        for login, role in PEOPLE.items():
            account, secret = invite_account(
                record.context, login=login, display_name=login.title(), roles=[role], site_ids=["s1"]
            )
            ids[login] = account.item_id
            accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
        add("patient", "p0", {"subject_id": "S-000", "status": "screening"}, patient="p0")
        read = {
            "role": "reader_1", "criterion": "recist-1.1", "scan_ids": ["none"], "state": "assigned",
            "reader_id": ids["rita"],
        }  # fmt: skip
        add("read", "r0", read, patient="p0")
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def protocol(server, browser):
    """The protocol version, entered by the data manager."""
    with open_case(browser, server, "start-protocol") as case:
        case.enter("dana")
        case.go("/due")
        case.page.get_by_text("no protocol version is entered", exact=False).wait_for()
        case.page.get_by_role("link", name="Enter the protocol version").click()
        case.page.locator('[data-page="trial"] [data-ready="true"]').wait_for()
        case.page.get_by_role("button", name="Enter the protocol version").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Title").fill("T-VEC in liver tumours")
        dialog.get_by_label("Version", exact=True).fill("1.0")
        dialog.get_by_label("Valid from").fill(BEGAN.isoformat())
        dialog.get_by_label("Dose protocol").select_option("tvec-liver-escalation")
        dialog.get_by_label("Visit schedule").select_option("tvec-liver")
        dialog.get_by_label("Imaging: window").fill("one week")
        dialog.get_by_label("Definition").select_option("tvec-liver")
        dialog.get_by_label("Whose toxicity counts").select_option("agent or procedure")
        dialog.get_by_label("Replace who cannot be evaluated").select_option("true")
        for label, text in OPEN_IN_DEFINITION.items():
            dialog.get_by_label(label).fill(text)
        dialog.get_by_label("Design").select_option("boin")
        dialog.get_by_label("Target DLT probability").fill("0.3")
        dialog.get_by_label("Cohort size").fill("3")
        dialog.get_by_label("Time between first doses").fill("7")
        for level, volume in ((1, "2"), (2, "4")):
            if level > 1:
                dialog.get_by_role("button", name="Add a level").click()
            row = dialog.get_by_role("group", name=f"Dose level {level}")
            row.get_by_label("Concentration").fill("1e6")
            row.get_by_label("Most at a visit").fill(volume)
        case.check_accessible()
        case.shot("form-end")
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.get_by_role("alert").get_by_text("expected a finite number").wait_for()
        case.shot("refused")
        assert case.ask("/api/study")["total"] == 0
        dialog.get_by_label("Imaging: window").fill("7")
        case.page.set_viewport_size(TABLET)
        dialog.get_by_label("Title").scroll_into_view_if_needed()
        case.check_accessible()
        case.shot("form-tablet")
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.wait_for(state="detached")
        case.page.get_by_text("in force").wait_for()
        case.page.get_by_role("heading", name="Next dose").wait_for()
        case.check_accessible()
        case.page.set_viewport_size(LAPTOP)
        case.check_accessible()
        case.shot("trial")
        (study,) = case.ask("/api/study")["items"]
        standing = case.ask("/api/trial")
    assert study["values"]["escalation_design"]["levels"][1] == {
        "concentration_pfu_per_ml": 1e6, "volume_ceiling_ml": 4,
    }  # fmt: skip
    assert study["values"]["schedule_numbers"] == {"imaging.window": 7}
    assert study["values"]["dlt_numbers"]["evaluable.replace"] is True
    assert study["values"]["dlt_numbers"]["window"] == study["values"]["dlt_window_days"] == 28
    assert standing["plan"]["cohort_size"] == 3 and standing["definition"]["missing"] == ""
    return study["item_id"]


def enter_a_consent(case) -> None:
    """The form of a consent, on the patient's page."""
    case.page.get_by_role("button", name="Enter a consent").click()
    dialog = case.page.get_by_role("dialog")
    dialog.get_by_label("Version of the form").fill("ICF 2.1")
    dialog.get_by_label("Signed").fill(SIGNED.isoformat())
    case.check_accessible()
    case.shot("consent-form")
    dialog.get_by_role("button", name="Enter", exact=True).click()
    dialog.wait_for(state="detached")


def withdraw(case) -> None:
    """A withdrawal, which first says what it stops."""
    case.page.get_by_role("button", name="Withdraw the consent").click()
    dialog = case.page.get_by_role("dialog")
    dialog.get_by_label("Day of the withdrawal").fill(TODAY.isoformat())
    dialog.get_by_label("Withdrawn from").select_option("treatment_and_follow_up")
    dialog.get_by_label("Reason").fill("wishes no more visits")
    case.check_accessible()
    case.shot("withdraw-form")
    dialog.get_by_role("button", name="Say what it stops").click()
    stops = dialog.get_by_role("listitem").all_inner_texts()
    assert stops == ["Plan", "Procedure", "Visit", "Scan", "Laboratory result"]
    case.page.set_viewport_size(TABLET)
    case.check_accessible()
    case.shot("withdraw-sure")
    dialog.get_by_role("button", name="Record the withdrawal").click()
    dialog.wait_for(state="detached")


@pytest.mark.requirement("G-start-record")
def test_a_coordinator_adds_a_patient_enters_the_consent_sees_the_visits_due_and_withdraws(
    server, browser, protocol
):
    with open_case(browser, server, "start-patient") as case:
        case.enter("cora")
        case.go("/patients")
        case.page.get_by_role("button", name="Add a patient").click()
        case.page.get_by_role("dialog").get_by_label("Subject number").fill("S-001")
        case.page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
        case.page.get_by_text("No consent yet").wait_for()
        patient = case.page.url.rpartition("/")[2]
        case.shot("no-consent")
        enter_a_consent(case)
        case.page.locator('[data-consent="true"]').wait_for()
        (consent,) = case.ask(f"/api/consent?patient_id={patient}")["items"]
        assert consent["values"]["study_id"] == protocol
        assert consent["values"]["signed_date"] == SIGNED.isoformat()

        case.go(f"/patient/{patient}/visits")
        case.page.get_by_role("button", name="Enter a visit").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Visit").select_option("injection")
        dialog.get_by_label("Day").fill(INJECTED.isoformat())
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.wait_for(state="detached")
        case.go("/due")
        table = case.page.get_by_role("table", name="Visits to see to, overdue ones first")
        table.get_by_role("link", name="S-001").wait_for()
        rows = [row for row in case.ask("/api/due")["rows"] if row["subject_id"] == "S-001"]
        assert [(row["name"], row["number"], row["state"]) for row in rows] == [("injection", 2, "due")]
        case.shot("due")

        case.go(f"/patient/{patient}")
        case.check_accessible()
        withdraw(case)
        case.page.locator('[data-consent="false"]').wait_for()
        case.check_accessible()
        case.shot("withdrawn-tablet")
        case.page.set_viewport_size(LAPTOP)
        case.check_accessible()
        case.shot("withdrawn")
        standing = case.ask(f"/api/patient/{patient}/consent")
        assert standing["stopped"] == {"treatment": TODAY.isoformat(), "follow_up": TODAY.isoformat()}
        assert all(row["subject_id"] != "S-001" for row in case.ask("/api/due")["rows"])
        # Nobody is asked for the same withdrawal twice, only for one that reaches further.
        case.page.get_by_role("button", name="Withdraw the consent").click()
        case.page.get_by_role("dialog").get_by_label("Withdrawn from").wait_for()
        further = case.page.get_by_role("dialog").locator("option:not([value=''])").all_inner_texts()
        assert further == ["treatment, follow-up and use of the data"]


@pytest.mark.requirement("G-start-record")
def test_a_new_version_begins_with_what_the_last_one_says(server, browser, protocol):
    with open_case(browser, server, "start-version", size=TABLET) as case:
        case.enter("dana")
        case.go("/trial")
        case.page.get_by_role("button", name="Enter a new version").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Version", exact=True).fill("2.0")
        dialog.get_by_label("Valid from").fill((TODAY + timedelta(days=60)).isoformat())
        dialog.get_by_label("Cohort size").fill("4")
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.wait_for(state="detached")
        case.page.get_by_text("to come").wait_for()
        case.check_accessible()
        case.shot("versions")
        found = {one["values"]["protocol_version"]: one["values"] for one in case.ask("/api/study")["items"]}
        assert case.ask("/api/trial")["study"]["protocol_version"] == "1.0"
        case.page.get_by_role("button", name="Undo").click()
        case.page.get_by_text("was taken back").wait_for()
        assert case.ask("/api/study")["total"] == 1
    first, second = found["1.0"], found["2.0"]
    changed = {"protocol_version", "valid_from_date", "escalation_design"}
    assert {name for name in first if first[name] != second[name]} == changed
    assert second["escalation_design"] == {**first["escalation_design"], "cohort_size": 4}


@pytest.mark.requirement("G-start-record")
def test_a_blinded_reader_sees_neither_consents_nor_protocol_versions(server, browser):
    with open_case(browser, server, "start-blinded") as case:
        case.enter("rita")
        case.go("/patient/p0")
        case.page.get_by_role("heading", name="Timeline").wait_for()
        assert case.page.get_by_role("heading", name="Consent").count() == 0
        assert case.page.get_by_role("link", name="Trial").count() == 0
        for path in ("/api/consent", "/api/study", "/api/patient/p0/consent", "/api/study-choices"):
            assert case.context.request.get(f"{case.address}{path}").status == 403
