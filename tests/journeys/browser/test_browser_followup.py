"""Follow-up in the browser: two follow-ups are entered, and what the pages show is what the interface answers."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from browser_case import LAPTOP, TABLET, open_case
from large_record import fill_large_record
from live_server import start_server

from hepatica.bootstrap import make_record

pytestmark = pytest.mark.xdist_group("browser-followup")
RESPONDER, LATE, FRESH = "sim-004", "sim-017", "sim-022"
PARTS = ("visits", "events", "labs", "response")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of the simulated cohort."""
    home = tmp_path_factory.mktemp("followup") / "home"
    with make_record(home, mode="demo") as record:
        fill_large_record(record, patients=24, passwords=record.passwords)
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture
def case(server, browser, request):
    """A coordinator's browser."""
    with open_case(browser, server, request.node.name[:60]) as opened:
        opened.enter("coordinator")
        yield opened


def read_rows(case, caption: str) -> list[list[str]]:
    """The cells of a table of the page."""
    table = case.page.get_by_role("table", name=caption)
    return [row.get_by_role("cell").all_inner_texts() for row in table.locator("tbody tr").all()]


@pytest.mark.requirement("G-due")
def test_the_page_of_who_is_due_lists_what_the_interface_answers_and_opens_the_patient(case):
    case.go("/due")
    answer = case.ask("/api/due")
    rows = read_rows(case, "Visits to see to, overdue ones first")
    assert [row[0].split("\n")[0] for row in rows] == [row["subject_id"] for row in answer["rows"]]
    assert [row[3] for row in rows] == [row["state"].replace("planned", "coming") for row in answer["rows"]]
    assert answer["counts"]["overdue"] >= 2
    case.check_accessible()
    case.shot("due")
    case.page.keyboard.press("2")
    case.page.get_by_role("button", name="Overdue", pressed=True).wait_for()
    case.wait_ready()
    case.page.get_by_role("link", name="SIM-017").first.click()
    case.page.locator('[data-page="visits"] [data-ready="true"]').wait_for()


@pytest.mark.requirement("G-visits")
def test_two_follow_ups_are_entered_and_one_is_taken_back(case):
    case.go(f"/patient/{LATE}/visits")
    before = case.ask(f"/api/patient/{LATE}/visits")["rows"]
    late = next(row for row in before if row["state"] == "overdue")
    for row in (late, next(row for row in before if row["state"] in ("due", "planned") and row is not late)):
        case.page.get_by_role("button", name="Enter a visit").click()
        dialog = case.page.get_by_role("dialog")
        case.check_accessible()
        dialog.get_by_label("Visit").select_option(row["name"])
        dialog.get_by_label("Number").fill(str(row["number"]))
        dialog.get_by_label("Day").fill(datetime.now(UTC).date().isoformat())
        dialog.get_by_role("button", name="Enter", exact=True).click()
        dialog.wait_for(state="detached")
    after = {(row["name"], row["number"]): row for row in case.ask(f"/api/patient/{LATE}/visits")["rows"]}
    assert after[late["name"], late["number"]]["state"] == "out of window"
    case.page.get_by_text("out of window").first.wait_for()
    case.shot("visits")
    case.page.get_by_role("button", name="Undo").last.click()
    case.page.get_by_text("was taken back").wait_for()
    now = case.ask(f"/api/patient/{LATE}/visits")["rows"]
    assert sum(bool(row["item_id"]) for row in now) == sum(bool(row["item_id"]) for row in before) + 1


@pytest.mark.requirement("G-events")
def test_an_adverse_event_is_entered_with_its_grade_and_both_causes(case):
    case.go(f"/patient/{FRESH}/events")
    answer = case.ask(f"/api/patient/{FRESH}/events")
    case.page.locator('[data-clock="open"]').wait_for()
    case.check_accessible()
    case.shot("events")
    case.page.keyboard.press("n")
    dialog = case.page.get_by_role("dialog")
    dialog.get_by_label("Term as reported").fill("Belly pain, severe")
    dialog.get_by_label("CTCAE term").select_option("Abdominal pain")
    dialog.get_by_label("Grade").select_option("5")
    dialog.get_by_role("alert").get_by_text("has grades 1 to 3").wait_for()
    dialog.get_by_label("Grade").select_option("3")
    dialog.get_by_label("Start").fill(answer["window"]["opens"])
    dialog.get_by_label("Related to the agent").select_option("UNLIKELY RELATED")
    dialog.get_by_label("Related to the procedure").select_option("RELATED")
    case.check_accessible()
    case.shot("event-form")
    dialog.get_by_role("button", name="Enter", exact=True).click()
    dialog.wait_for(state="detached")
    case.page.get_by_text("dose-limiting toxicity", exact=True).wait_for()
    judged = case.ask(f"/api/patient/{FRESH}/events")
    assert judged["window"]["patient"]["state"] == "dlt"
    entered = next(row for row in judged["rows"] if row["item"]["values"]["term"] == "Belly pain, severe")
    assert entered["dlt"]["cause"] == "procedure"
    case.page.get_by_role("button", name="Undo").click()
    case.page.get_by_text("was taken back").wait_for()
    assert case.ask(f"/api/patient/{FRESH}/events")["window"]["patient"]["state"] == "pending"


@pytest.mark.requirement("G-labs")
def test_the_grades_of_results_are_those_of_the_interface_and_a_stale_change_shows_both_versions(case):
    case.go(f"/patient/{RESPONDER}/labs")
    tests = case.ask(f"/api/patient/{RESPONDER}/labs")["tests"]
    case.page.get_by_role("button", name="AST", exact=True).click()
    wanted = next(test for test in tests if test["test_code"] == "AST")["rows"]
    rows = read_rows(case, "Results of AST")
    assert [int(row[3].split()[0]) for row in rows] == [row["grade"]["grade"] for row in wanted]
    assert sum("baseline" in row[3].split("\n") for row in rows) == 1
    case.check_accessible()
    case.shot("labs")
    last = wanted[-1]["item"]
    case.page.get_by_role("button", name=f"Change AST of {last['values']['date']}").click()
    dialog = case.page.get_by_role("dialog")
    dialog.get_by_label("Result").fill("61")
    dialog.get_by_label("Reason of the change").fill("read again")
    other = case.context.request.patch(
        f"{case.address}/api/laboratory/{last['item_id']}",
        data={"values": {"value": 77.0}, "reason": "typo"},
        headers={"x-hepatica": "1", "if-match": f'"{last["version"]}"'},
    )
    assert other.ok, other.text()
    dialog.get_by_role("button", name="Change", exact=True).click()
    dialog.get_by_text("Changed meanwhile by").wait_for()
    assert read_rows(case, "Your entry and theirs") == [["Result", "61", "77"]]
    case.check_accessible()
    case.shot("conflict")
    dialog.get_by_role("button", name="Go on with mine").click()
    dialog.get_by_role("button", name="Change", exact=True).click()
    dialog.wait_for(state="detached")
    assert case.ask(f"/api/laboratory/{last['item_id']}")["values"]["value"] == 61.0


@pytest.mark.requirement("G-response")
def test_the_course_of_lesions_shows_the_sums_and_responses_of_the_read(case):
    case.go(f"/patient/{RESPONDER}/response")
    answer = case.ask(f"/api/patient/{RESPONDER}/response")
    rows = read_rows(case, "Sums and response at each scan")
    assert [row[2] for row in rows] == [f"{point['size_mm']:.1f}\u202fmm" for point in answer["injected"]]
    assert [row[4] for row in rows] == [f"{point['size_mm']:.1f}\u202fmm" for point in answer["non_injected"]]
    overall = {row["day"]: row["overall"] for row in answer["responses"]}
    for point, row in zip(answer["total"], rows, strict=True):
        assert overall.get(point["day"], "baseline") in row[8]
    marks = case.page.locator('svg [data-group="injection"]')
    assert marks.count() > len(answer["injection_days"])
    case.check_accessible()
    case.shot("response")


@pytest.mark.requirement("G-response")
def test_patients_without_visits_results_or_lesions_and_a_tablet_break_no_page(server, browser):
    with open_case(browser, server, "followup-tablet", size=TABLET) as case:
        case.enter("coordinator")
        for patient in ("sim-024", RESPONDER):
            for part in PARTS:
                case.go(f"/patient/{patient}/{part}")
                wide = case.page.evaluate("document.documentElement.scrollWidth > window.innerWidth")
                assert not wide, (patient, part)
                case.check_accessible()
                case.shot(f"{patient}-{part}")


@pytest.mark.requirement("G-response")
def test_a_monitor_reads_and_enters_nothing(server, browser):
    with open_case(browser, server, "followup-monitor", size=LAPTOP) as case:
        case.enter("monitor")
        for part in PARTS[:3]:
            case.go(f"/patient/{RESPONDER}/{part}")
            assert case.page.get_by_role("button", name="Enter a").count() == 0
            assert case.page.get_by_role("button", name="Change").count() == 0
