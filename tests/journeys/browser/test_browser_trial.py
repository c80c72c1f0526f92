"""The trial in the browser: next dose as the engines say it, response and survival, export, report, audit, queries."""

from __future__ import annotations

import csv
import io
import json
import shlex
import subprocess
import sys
from dataclasses import replace

import pytest
from browser_case import TABLET, open_case
from large_record import MemoryStore
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record
from hepatica.workflows.simulate_cohort import CohortOptions, simulate_cohort

PATIENTS = 24


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("trial") / "home"
    with make_record(home, mode="demo") as record:
        context = replace(record.context, store=MemoryStore(record.context.store))
        options = CohortOptions(patients=PATIENTS, mode="demo", with_days=PATIENTS)
        simulate_cohort(context, record.passwords, password=PASSWORD, options=options)
    running = start_server(home)
    yield running
    running.stop()


def ask_command(command: str) -> dict:
    words = shlex.split(command)
    assert words[0] == "hepatica"
    done = subprocess.run(
        [sys.executable, "-m", "hepatica.entrypoints.cli.main", *words[1:], "--json"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return json.loads(done.stdout)


@pytest.mark.requirement("G-trial-next-dose")
def test_the_next_dose_on_the_page_is_that_of_the_interface_and_of_the_command_line_for_the_same_counts(
    server, browser
):
    with open_case(browser, server, "trial") as case:
        case.enter("statistician")
        case.go("/trial")
        found = case.ask("/api/trial")
        (population,) = found["populations"]
        told = ask_command(population["command"])
        shown = case.page.locator("[data-next-dose]")
        assert shown.get_attribute("data-next-dose") == str(told["recommended_dose"])
        assert population["advice"]["recommended_dose"] == told["recommended_dose"]
        assert case.page.locator("[data-reason]").inner_text() == told["reason"]
        assert told["hold"]["pending"] == population["advice"]["hold"]["pending"]
        assert case.page.locator("[data-hold]").is_visible()
        for level in population["levels"]:
            row = case.page.get_by_role("row").filter(
                has=case.page.locator(f'[data-level="{level["level"]}"]')
            )
            assert row.locator("[data-dlts]").inner_text() == str(level["dlts"])
        slots = case.page.locator("[data-free]")
        assert slots.get_attribute("data-free") == str(population["slots"]["free"])
        case.page.get_by_text("Where this comes from").click()
        assert case.page.locator("[data-command]").inner_text() == population["command"]
        case.shot("next-dose")
        case.check_accessible()


@pytest.mark.requirement("G-trial-outcomes")
def test_response_and_survival_on_the_page_have_their_numbers_beside_them_as_the_interface_gives_them(
    server, browser
):
    with open_case(browser, server, "trial-outcomes") as case:
        case.enter("statistician")
        case.go("/trial")
        case.page.locator('[data-outcomes="true"]').wait_for()
        found = case.ask("/api/trial/outcomes")
        for rate in found["rates"]:
            count = rate["counts"]["CR"] + rate["counts"]["PR"]
            assert case.page.locator("svg").get_by_text(f"{count} of {rate['n']}", exact=True).count() >= 1
        survival = next(one for one in found["curves"] if one["code"] == "OS" and one["group"] == "")
        said = case.page.locator('[data-median="OS"]').inner_text()
        assert said.startswith(f"{survival['events']} of {survival['n']} with an event")
        if survival["median"]["months"] is None:
            assert "not reached" in said
        case.page.get_by_text("Numbers of “Overall survival”").click()
        rows = case.page.get_by_role("table", name="Overall survival").get_by_role("row")
        assert rows.count() == len(survival["steps"]) + 1
        case.page.get_by_role("heading", name="Response and survival").scroll_into_view_if_needed()
        case.shot("response")
        case.page.get_by_role("heading", name="Overall survival").scroll_into_view_if_needed()
        case.shot("survival")
        case.page.get_by_role("button", name="By dose level").click()
        case.shot("by-level")
        case.page.get_by_role("button", name="Injected", exact=True).click()
        case.page.get_by_role(
            "heading", name="Best change of the sum of targets: injected lesions"
        ).wait_for()
        case.shot("injected")
        case.check_accessible()


@pytest.mark.requirement("G-trial-export")
def test_data_are_saved_as_a_table_and_a_report_is_made_with_files_to_open(server, browser):
    with open_case(browser, server, "trial-export", size=TABLET) as case:
        case.enter("datamanager")
        case.go("/trial")
        with case.page.expect_download() as saved:
            case.page.get_by_role("link", name="Adverse events").click()
        rows = list(csv.DictReader(io.StringIO(saved.value.path().read_text())))
        assert len(rows) == case.ask("/api/adverse_event?limit=1")["total"] > 0
        case.page.get_by_role("button", name="Make the report").click()
        case.page.locator('[data-job="done"]').wait_for(timeout=120_000)
        link = case.page.get_by_role("link", name="trial.pdf")
        link.wait_for()
        case.shot("report")
        answer = case.context.request.get(f"{case.address}/{link.get_attribute('href').removeprefix('./')}")
        assert answer.ok and answer.body().startswith(b"%PDF")
        case.check_accessible()


@pytest.mark.requirement("G-trial-rights")
def test_a_coordinator_of_one_site_sees_the_dose_of_the_whole_trial_and_names_of_that_site_only(
    server, browser
):
    with open_case(browser, server, "trial-south", size=TABLET) as case:
        case.enter("coordinator.south")
        case.go("/trial")
        found = case.ask("/api/trial")
        assert found["sites"] == ["south"] and found["elsewhere"] > 0
        assert case.page.get_by_text(f"{found['elsewhere']} of them are not of your sites").is_visible()
        assert case.page.get_by_role("heading", name="Data as CSV").count() == 0
        assert case.page.get_by_role("heading", name="Report", exact=True).count() == 0
        case.page.locator('[data-outcomes="true"]').wait_for()
        case.shot("page")
        case.check_accessible()


@pytest.mark.requirement("G-audit")
def test_an_auditor_reads_the_trail_and_verifies_that_the_record_is_whole(server, browser):
    with open_case(browser, server, "audit") as case:
        case.enter("auditor")
        case.go("/audit")
        case.page.get_by_role("button", name="Verify now").click()
        case.page.get_by_text("whole", exact=True).wait_for(timeout=120_000)
        case.shot("whole")
        case.check_accessible()


@pytest.mark.requirement("G-queries")
def test_a_query_is_answered_by_the_site_and_closed_by_who_watches_over_the_data(server, browser):
    with open_case(browser, server, "query-answer") as case:
        case.enter("coordinator")
        case.go("/queries")
        before = case.ask("/api/query?state=open")["total"]
        assert before > 0
        case.page.get_by_role("button", name="Answer", exact=True).first.click()
        dialog = case.page.get_by_role("dialog")
        dialog.get_by_label("Answer").fill("Checked against the chart: 41 U/L.")
        case.check_accessible()
        dialog.get_by_role("button", name="Answer", exact=True).click()
        case.page.get_by_text("The query was answered").wait_for()
        assert case.ask("/api/query?state=open")["total"] == before - 1
    with open_case(browser, server, "query-close") as case:
        case.enter("datamanager")
        case.go("/queries")
        case.page.get_by_role("button", name="Answered", exact=True).click()
        row = case.page.get_by_role("row").filter(has_text="41 U/L")
        row.get_by_role("button", name="Close", exact=True).click()
        case.page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
        case.page.get_by_text("The query was closed").wait_for()
        closed = case.ask("/api/query?state=closed")["items"]
        assert any(one["values"]["answer"] == "Checked against the chart: 41 U/L." for one in closed)
        case.shot("closed")
        case.check_accessible()


@pytest.mark.requirement("G-quality")
def test_a_data_manager_sees_what_is_open_by_site_and_which_serious_report_is_due(server, browser):
    with open_case(browser, server, "quality") as case:
        case.enter("datamanager")
        case.go("/quality")
        found = case.ask("/api/quality")
        open_ = sum(sum(row["open_by_age"]) for row in found["queries"])
        assert open_ == case.ask("/api/query?state=open")["total"]
        assert (
            sum(row["answered"] for row in found["queries"]) == case.ask("/api/query?state=answered")["total"]
        )
        for row in found["queries"]:
            assert case.page.locator(f'[data-answered="{row["site_id"]}"]').inner_text() == str(
                row["answered"]
            )
        serious = case.page.get_by_role("table", name="Serious events").get_by_role("row")
        assert serious.count() == len(case.ask("/api/serious-events")) + 1
        case.shot("page")
        case.check_accessible()
