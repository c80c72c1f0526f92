"""Queries in the browser: asked beside the entry, answered, closed, asked again; values verified; data signed and locked."""

from __future__ import annotations

import pytest
from browser_case import LAPTOP, TABLET, open_case
from large_record import fill_large_record
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record

pytestmark = [pytest.mark.xdist_group("browser-queries-asked"), pytest.mark.requirement("G-queries-asked")]
PATIENT = "sim-004"
QUESTION = "The letter of discharge says grade 2. Which is it?"
ANSWER = "Grade 2 is right; the letter was read again."
MISSING = "The entry still says something else."
MEANING = "Read, and found correct"
PARTS = ("", "/events", "/labs", "/visits")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of the simulated cohort."""
    home = tmp_path_factory.mktemp("asked") / "home"
    with make_record(home, mode="demo") as record:
        fill_large_record(record, patients=24, passwords=record.passwords)
    running = start_server(home)
    yield running
    running.stop()


def open_as(browser, server, login: str, *, size=LAPTOP):
    """A person's browser, not yet logged in."""
    return open_case(browser, server, f"asked-{login}", size=size)


def pick_event(case) -> dict:
    """The first adverse event of the page."""
    return case.ask(f"/api/patient/{PATIENT}/events")["rows"][0]["item"]


def find_query(case) -> dict:
    """The query of this journey."""
    found = case.ask(f"/api/query?patient_id={PATIENT}&limit=500")["items"]
    (mine,) = [one for one in found if one["values"]["question"] == QUESTION]
    return mine


def count_open(case, item: dict) -> int:
    """Open queries about an item, by the interface."""
    found = case.ask(f"/api/query?patient_id={PATIENT}&state=open&limit=500")["items"]
    return sum(one["values"]["about_item_id"] == item["item_id"] for one in found)


def act_on_query(case, *, shown: str, action: str, label: str = "", text: str = "", done: str) -> None:
    """Press a query's button on the page of queries, fill in what is asked for, and wait for the word that it was done."""
    case.go("/queries")
    case.page.get_by_role("button", name=shown, exact=True).click()
    row = case.page.get_by_role("row").filter(has_text=QUESTION)
    row.get_by_role("button", name=action, exact=True).click()
    dialog = case.page.get_by_role("dialog")
    if label:
        dialog.get_by_label(label).fill(text)
    case.check_accessible()
    case.shot(f"{action.lower().replace(' ', '-')}")
    dialog.get_by_role("button", name=action, exact=True).last.click()
    case.page.get_by_text(done).wait_for()


def check_page(case, name: str) -> None:
    """Accessible, with nothing half under the bar and without the notices that lie above it, and not wider than the window."""
    while case.page.get_by_role("button", name="Dismiss").count():
        case.page.get_by_role("button", name="Dismiss").first.click()
    case.shot(f"{name}-foot")
    case.page.evaluate("window.scrollTo(0, 0)")
    case.check_accessible()
    assert not case.page.evaluate("document.documentElement.scrollWidth > window.innerWidth"), name
    case.shot(name)


def test_a_monitor_asks_about_a_field_the_site_answers_and_the_monitor_closes_and_asks_again(server, browser):
    with open_as(browser, server, "monitor") as case:
        case.enter("monitor")
        case.go(f"/patient/{PATIENT}/events")
        event = pick_event(case)
        before = count_open(case, event)
        beside = case.page.locator(f'[data-checks="{event["item_id"]}"]')
        beside.get_by_role("button", name="Ask about").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Field").select_option("grade")
        dialog.get_by_text("In the record now").get_by_text(
            str(event["values"]["grade"]), exact=True
        ).wait_for()
        dialog.get_by_label("Question").fill(QUESTION)
        case.check_accessible()
        case.shot("ask")
        dialog.get_by_role("button", name="Ask", exact=True).click()
        dialog.wait_for(state="detached")
        case.page.locator(f'[data-checks="{event["item_id"]}"][data-open="{before + 1}"]').wait_for()
        assert count_open(case, event) == before + 1
        values = find_query(case)["values"]
        assert (values["about_field"], values["about_item_id"]) == ("grade", event["item_id"])
        beside.get_by_role("link", name="about").click()
        case.page.get_by_role("heading", name="Queries").wait_for()
        assert (
            case.page.get_by_role("row")
            .filter(has_text=QUESTION)
            .get_by_role("button", name="Answer")
            .count()
            == 0
        )
    with open_as(browser, server, "coordinator") as case:
        case.enter("coordinator")
        case.go(f"/patient/{PATIENT}/events")
        case.page.locator(f'[data-checks="{event["item_id"]}"][data-open="{before + 1}"]').wait_for()
        assert case.page.get_by_role("button", name="Ask about").count() == 0
        case.shot("events")
        act_on_query(
            case, shown="Open", action="Answer", label="Answer", text=ANSWER, done="The query was answered"
        )
        assert find_query(case)["values"]["answer"] == ANSWER
    with open_as(browser, server, "monitor") as case:
        case.enter("monitor")
        act_on_query(case, shown="Answered", action="Close", done="The query was closed")
        assert find_query(case)["values"]["state"] == "closed"
        act_on_query(
            case, shown="Closed", action="Ask again", label="What is missing", text=MISSING, done="The query is open again"
        )  # fmt: skip
        assert find_query(case)["values"]["state"] == "open"
    with open_as(browser, server, "coordinator") as case:
        case.enter("coordinator")
        case.go("/queries")
        case.page.get_by_role("row").filter(has_text=QUESTION).get_by_role("button", name="Answer").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_text(MISSING).wait_for()
        dialog.get_by_text(ANSWER).wait_for()
        case.shot("asked-again")


def test_a_monitor_verifies_values_against_the_source_and_a_later_change_of_one_shows(server, browser):
    with open_as(browser, server, "monitor") as case:
        case.enter("monitor")
        case.go(f"/patient/{PATIENT}/events")
        event = pick_event(case)
        own = f'[data-checks="{event["item_id"]}"]'
        case.page.locator(own).get_by_role("button", name="Verify").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_role("button", name="All", exact=True).click()
        dialog.get_by_label("Start").uncheck()
        case.check_accessible()
        case.shot("verify")
        dialog.get_by_role("button", name="Agrees with the source").click()
        dialog.wait_for(state="detached")
        (row,) = [
            one
            for one in case.ask(f"/api/verifications/adverse_event/{event['item_id']}")
            if one["verification"]["values"]["about_version"] == event["version"]
        ]
        fields = row["verification"]["values"]["verified_fields"]
        assert row["state"] == "holds"
        assert set(fields) == {name for name, value in event["values"].items() if value is not None} - {
            "start_date"
        }
        case.page.locator(f'{own}[data-verified="{len(fields)}"]').wait_for()
        check_page(case, "verified")
    cookie = server.enter("coordinator")
    status, _, answer = server.ask(
        "PATCH", f"/api/adverse_event/{event['item_id']}",
        {"values": {"grade": 1 if event["values"]["grade"] != 1 else 2}, "reason": "read again"},
        cookie=cookie, headers={"if-match": f'"{event["version"]}"'},
    )  # fmt: skip
    assert status == 200, answer
    with open_as(browser, server, "monitor", size=TABLET) as case:
        case.enter("monitor")
        case.go(f"/patient/{PATIENT}/events")
        beside = case.page.locator(f'{own}[data-verified="{len(fields) - 1}"]')
        beside.get_by_text("changed since verified").wait_for()
        assert beside.get_by_title("verified: Grade").count() == 1
        check_page(case, "changed")


def test_an_investigator_signs_a_patients_data_and_a_data_manager_locks_them(server, browser):
    with open_as(browser, server, "investigator") as case:
        case.enter("investigator")
        case.go(f"/patient/{PATIENT}")
        case.page.locator('[data-signed="0"]').wait_for()
        case.page.get_by_role("button", name="Sign the patient's data").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("The signature says").fill(MEANING)
        dialog.get_by_label("Your password").fill("not it at all")
        dialog.get_by_role("button", name="Sign", exact=True).click()
        dialog.get_by_role("alert").get_by_text("your password").wait_for()
        assert case.ask(f"/api/signatures/patient/{PATIENT}") == []
        dialog.get_by_label("Your password").fill(PASSWORD)
        case.check_accessible()
        case.shot("sign")
        dialog.get_by_role("button", name="Sign", exact=True).click()
        dialog.wait_for(state="detached")
        case.page.locator('[data-signed="1"]').wait_for()
        (mark,) = case.ask(f"/api/signatures/patient/{PATIENT}")
        assert (mark["meaning"], mark["state"]) == (MEANING, "valid")
        check_page(case, "signed")
    with open_as(browser, server, "datamanager", size=TABLET) as case:
        case.enter("datamanager")
        case.go(f"/patient/{PATIENT}")
        for action, locked in (("Lock", True), ("Unlock", False), ("Lock", True)):
            case.page.get_by_role("button", name=f"{action} the patient's data").click()
            dialog = case.page.get_by_role("dialog")
            dialog.get_by_label("Reason").fill("end of the study")
            dialog.get_by_role("button", name=action, exact=True).click()
            dialog.wait_for(state="detached")
            case.page.locator(f'[data-locked="{str(locked).lower()}"][data-signed="1"]').wait_for()
            assert case.ask(f"/api/patient/{PATIENT}")["locked"] is locked
        check_page(case, "locked")


def test_every_part_with_the_marks_fits_a_laptop_and_a_tablet(server, browser):
    for name, size in (("laptop", LAPTOP), ("tablet", TABLET)):
        with open_case(browser, server, f"asked-{name}", size=size) as case:
            case.enter("monitor")
            for part in PARTS:
                case.go(f"/patient/{PATIENT}{part}")
                case.page.get_by_role("button", name="Ask about").first.wait_for()
                check_page(case, part.strip("/") or "timeline")


def test_a_blinded_reader_sees_no_query_no_verification_and_no_signature_of_the_patient(server, browser):
    with open_as(browser, server, "reader1") as case:
        case.enter("reader1")
        asked = []
        case.page.on("request", lambda request: asked.append(request.url))
        case.go(f"/patient/{PATIENT}")
        assert case.page.locator("[data-checks], [data-signed], [data-locked]").count() == 0
        assert case.page.get_by_role("button", name="Sign").count() == 0
        kinds = ("/api/query", "/api/verification", "/api/signatures")
        assert not [url for url in asked if any(kind in url for kind in kinds)]
        case.shot("timeline")
