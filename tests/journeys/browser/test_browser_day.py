"""The day at the table in a tablet's browser: entered step by step, through a lost connection and the end of a session."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from browser_case import TABLET, open_case
from live_server import PASSWORD, start_server
from procedure_days import make_plan_document, make_preparation

from hepatica.bootstrap import make_record
from hepatica.procedure.document import to_entry_document
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item
from hepatica.workflows.record_ports import ItemFilter

SAVED = "All entries are saved"


def make_items(digest: str):
    values = {
        "site": {"name": "North", "country_code": "GBR"},
        "study": {"title": "T", "protocol_version": "3.0", "valid_from_date": "2026-01-01", "dose_protocol": "tvec-label"},
        "patient": {"subject_id": "01-001", "status": "on_treatment"},
        "scan": {"series_uid": "2.25.3", "modality": "CT", "content_digest": digest, "state": "accepted"},
        "plan": {"scan_id": "scan1", "visit_number": 1, "status": "cleared", "files": {"plan.json": digest}},
    }  # fmt: skip
    for kind, fields in values.items():
        patient = "patient1" if kind in ("patient", "scan", "plan") else ""
        site = "" if kind == "study" else "site1"
        yield Item(kind=kind, item_id=f"{kind}1", site_id=site, patient_id=patient, version=1, values=fields)


def give_to_reader(record) -> None:
    """A reader sees no patient before a read is given to her."""
    with record.context.store.reading() as reader:
        found = reader.list_items(ItemFilter(kind="account", where={"login": "rea"}))
    values = {
        "reader_id": found.items[0].item_id,
        "role": "reader_1",
        "criterion": "recist-1.1",
        "scan_ids": ["scan1"],
        "state": "assigned",
    }
    item = Item(
        kind="read", item_id="read1", site_id="site1", patient_id="patient1", version=1, values=values
    )
    with record.context.store.writing() as writer:
        create_item(record.context, writer, item=item)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("day") / "home"
    with make_record(home, mode="clinical") as record:
        digest = record.context.files.keep_bytes(json.dumps(make_plan_document()).encode())
        with record.context.store.writing() as writer:
            for item in make_items(digest):
                create_item(record.context, writer, item=item)
        for login, role in (("ida", Role.INVESTIGATOR), ("rea", Role.READER_1)):
            _, secret = invite_account(
                record.context, login=login, display_name=login.title(), roles=[role], site_ids=["site1"]
            )
            accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
        give_to_reader(record)
    running = start_server(home)
    yield running
    running.stop()


def press_step(case, name: str) -> None:
    case.page.get_by_role("button", name=name).first.click()


def enter_form(case) -> None:
    case.page.get_by_role("dialog").get_by_role("button", name="Enter", exact=True).click()
    case.page.get_by_role("dialog").wait_for(state="detached")


def to_rows(entries):
    """Entries of the made-up day, moved to this morning."""
    now = datetime.now(ZoneInfo("UTC"))
    shift = now - timedelta(hours=1) - entries[-1].occurred_at
    rows = []
    for entry in entries:
        document = {k: v for k, v in to_entry_document(entry).items() if k not in ("entered_at", "author")}
        document["occurred_at"] = (entry.occurred_at + shift).isoformat()
        values = document["values"]
        if "thaw_start" in values:
            values["thaw_start"] = (datetime.fromisoformat(values["thaw_start"]) + shift).isoformat()
            values["expiry_date"] = (now + timedelta(days=400)).date().isoformat()
        rows.append(document)
    return rows


@pytest.mark.requirement("G-day")
@pytest.mark.requirement("G-day-connection")
@pytest.mark.requirement("G-day-session")
def test_a_day_is_recorded_through_a_lost_connection_and_the_end_of_a_session_and_loses_no_entry(
    server, browser
):
    with open_case(browser, server, "day", size=TABLET) as case:
        case.enter("ida")
        case.go("/patient/patient1/day")
        case.check_accessible()
        case.page.get_by_role("button", name="Begin the day").click()
        case.page.locator('[data-phase="preparation"]').wait_for()
        day = case.page.url.rsplit("/", 1)[-1]

        press_step(case, "Consent confirmed")
        dialog = case.page.get_by_role("dialog")
        assert dialog.get_by_role("button", name="Enter", exact=True).is_disabled()
        dialog.get_by_label("Confirmed").check()
        dialog.get_by_label("Protocol version consented to").fill("3.0")
        case.check_accessible()
        enter_form(case)
        case.page.locator('[data-entry="consent_check"]').wait_for()

        # Vials, draws and sedation come from the second tablet.
        rows = to_rows(
            [entry for entry in make_preparation() if entry.kind not in ("consent_check", "time_out")]
        )
        sent = case.context.request.post(
            f"{case.address}/api/procedure/{day}/entries",
            data=json.dumps({"entries": rows}),
            headers={"x-hepatica": "1", "content-type": "application/json"},
        )
        assert sent.ok, sent.text()

        case.page.locator('[data-entry="sedation_start"]').wait_for()
        press_step(case, "Time-out")
        dialog.get_by_label("Patient").check()
        dialog.get_by_label("Site").check()
        dialog.get_by_role("button", name="right lobe").click()
        case.shot("time-out")
        enter_form(case)
        case.page.locator('[data-phase="ready"]').wait_for()
        case.shot("ready")
        case.check_accessible()

        press_step(case, "Needle inserted")
        assert dialog.get_by_label("Needle", exact=True).input_value() == "N1"
        enter_form(case)
        case.page.locator('[data-phase="needle_in"]').wait_for()
        case.shot("needle-in")
        case.check_accessible()
        give = case.page.get_by_role("button", name="Given, no leak")
        for stop in (1, 2):
            give.click()
            case.page.locator(f'[data-deposit="P1/1/{stop}"][data-state="given"]').wait_for()
        case.page.get_by_text(SAVED).wait_for()

        case.context.set_offline(True)
        for stop in (3, 4):
            give.click()
            case.page.locator(f'[data-deposit="P1/1/{stop}"][data-state="given"]').wait_for()
        case.page.get_by_text("2 entries wait for the connection").wait_for()
        case.shot("offline")
        case.context.set_offline(False)
        case.page.get_by_text(SAVED).wait_for()

        case.context.clear_cookies()
        case.page.get_by_role("button", name="Note", exact=True).click()
        case.page.get_by_role("dialog", name="Note").get_by_label("Text").fill("after the end of the session")
        case.page.get_by_role("dialog", name="Note").get_by_role("button", name="Enter", exact=True).click()
        again = case.page.get_by_role("dialog", name="Your session has ended")
        again.get_by_label("Login").fill("ida")
        again.get_by_label("Password").fill(PASSWORD)
        again.get_by_role("button", name="Log in").click()
        case.page.locator('[data-entry="note"]').wait_for()
        case.page.get_by_text(SAVED).wait_for()

        answer = case.ask(f"/api/procedure/{day}/day")
        kinds = [entry["kind"] for entry in answer["entries"]]
        assert kinds.count("deposit") == 4 and kinds.count("note") == 1 and kinds.count("consent_check") == 1
        (lesion,) = [row for row in answer["day"]["lesions"] if row["lesion_id"] == "L1"]
        assert lesion["given_ml"] == pytest.approx(2.0)
        total = case.page.locator("[data-total]").inner_text().replace("\u202f", " ")
        assert (
            total
            == f"Given {answer['day']['totals']['given_ml']:.2f} mL of {answer['day']['totals']['planned_ml']:.2f} mL"
        )


@pytest.mark.requirement("G-day-connection")
def test_entries_that_wait_survive_a_reload_of_the_page(server, browser):
    with open_case(browser, server, "day-reload", size=TABLET) as case:
        case.enter("ida")
        (day,) = case.ask("/api/procedure?patient_id=patient1")["items"]
        case.go(f"/patient/patient1/day/{day['item_id']}")
        case.context.route("**/entries", lambda route: route.abort())
        case.page.get_by_role("button", name="Note", exact=True).click()
        case.page.get_by_role("dialog").get_by_label("Text").fill("kept on the shelf")
        enter_form(case)
        case.page.get_by_text("1 entry waits for the connection").wait_for()
        case.page.reload()
        case.page.get_by_text("1 entry waits for the connection").wait_for()
        case.context.unroute("**/entries")
        case.page.get_by_text(SAVED).wait_for()
        entries = case.ask(f"/api/procedure/{day['item_id']}/day")["entries"]
        assert [entry["values"]["text"] for entry in entries if entry["kind"] == "note"].count(
            "kept on the shelf"
        ) == 1


@pytest.mark.requirement("G-first-login")
def test_a_blinded_reader_sees_the_patients_and_not_who_is_on_treatment(server, browser):
    with open_case(browser, server, "day-reader") as case:
        case.enter("rea")
        case.go("/patients")
        case.page.get_by_role("link", name="01-001").wait_for()
        assert case.page.get_by_role("columnheader").all_inner_texts() == ["Subject", "Site"]
        case.check_accessible()
