"""A research record in the browser: a true day is typed, the moved one is kept and shown, and the page says so."""

from __future__ import annotations

import re
from datetime import date, timedelta

import pytest
from browser_case import open_case
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record
from hepatica.bootstrap.scans import make_moved_dates
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = pytest.mark.xdist_group("browser-research")
TYPED = date(2026, 3, 2)
STUDY = {
    "title": "T", "protocol_version": "3.0", "valid_from_date": "2026-01-01", "dose_protocol": "tvec-label",
    "schedule": "tvec-liver",
    "schedule_numbers": {"imaging.window": 7, "safety.window": 7, "survival.window": 14},
}  # fmt: skip


def to_shown(day: date) -> re.Pattern[str]:
    """How the pages write a day."""
    return re.compile(rf"{day.day}\s*{day:%b}\s*{day.year}")


@pytest.fixture(scope="module")
def research(tmp_path_factory):
    """A server of a research record with one patient, and the days by which his dates are moved."""
    home = tmp_path_factory.mktemp("research") / "home"
    with make_record(home, mode="research") as record:
        for kind, name, values in (
            ("site", "s1", {"name": "North", "country_code": "GBR"}),
            ("study", "v3", STUDY),
            ("patient", "p1", {"subject_id": "S-1", "status": "screening"}),
        ):
            item = Item(
                kind=kind, item_id=name, site_id="" if kind == "study" else "s1",
                patient_id=name if kind == "patient" else "", version=1, values=values,
            )  # fmt: skip
            with record.context.store.writing() as writer:
                create_item(record.context, writer, item=item)
        roles = (Role.COORDINATOR, Role.INVESTIGATOR)
        _, secret = invite_account(
            record.context, login="ben", display_name="B. Coordinator", roles=roles, site_ids=("s1",)
        )
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
        days = make_moved_dates(home, mode="research").find_offset_days("p1")
    running = start_server(home)
    yield running, days
    running.stop()


@pytest.mark.requirement("G-research-dates")
def test_a_typed_day_is_shown_moved_a_change_asks_whose_calendar_it_is_and_undo_moves_nothing_twice(
    research, browser
):
    server, days = research
    moved = (TYPED + timedelta(days=days)).isoformat()
    with open_case(browser, server, "research") as case:
        case.enter("ben")
        case.go("/patient/p1/visits")
        case.page.get_by_text("Dates are moved").wait_for()
        case.page.get_by_role("button", name="Enter a visit").click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_text("enter true dates").wait_for()
        dialog.get_by_label("Day").fill(TYPED.isoformat())
        case.check_accessible()
        case.shot("form")
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.wait_for(state="detached")
        (visit,) = case.ask("/api/visit?patient_id=p1")["items"]
        assert visit["values"]["date"] == moved
        table = case.page.get_by_role("table", name="Visits of the patient by day")
        row = table.locator("tbody tr").filter(has_text="done").first
        row.get_by_text(to_shown(TYPED + timedelta(days=days))).wait_for()
        shown = case.page.locator("main").inner_text()
        assert TYPED.isoformat() not in shown and not to_shown(TYPED).search(shown)

        name = visit["values"]["name"]
        case.page.get_by_role("button", name=f"Change {name} {visit['values']['visit_number']}").click()
        dialog.get_by_label("Day").fill((TYPED + timedelta(days=1)).isoformat())
        dialog.get_by_label("Reason of the change").fill("read again")
        dialog.get_by_label("The days you typed are").select_option("true")
        case.check_accessible()
        case.shot("change")
        dialog.get_by_role("button", name="Change", exact=True).click()
        dialog.wait_for(state="detached")
        (visit,) = case.ask("/api/visit?patient_id=p1")["items"]
        assert visit["values"]["date"] == (TYPED + timedelta(days=days + 1)).isoformat()
        case.page.get_by_role("button", name="Undo").last.click()
        case.page.get_by_text("is as it was").wait_for()
        (visit,) = case.ask("/api/visit?patient_id=p1")["items"]
        assert visit["values"]["date"] == moved
