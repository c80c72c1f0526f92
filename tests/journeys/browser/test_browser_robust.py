"""Pages hold: long names, sixty lesions, none, a slow server, one that answers 503."""

from __future__ import annotations

import threading

import pytest
from browser_case import TABLET, open_case
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = [pytest.mark.xdist_group("browser-robust"), pytest.mark.requirement("G-robust")]
LONG = "SUBJECT-" + "0123456789" * 7
LABEL = "segment-VIII-subcapsular-beside-the-right-hepatic-vein-" + "x" * 30
LESIONS = 60
PARTS = ("", "/visits", "/labs", "/events", "/response", "/import", "/new-plan")
WIDER_PX = 1
"""A pixel of rounding is no sideways scrolling."""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with one patient of sixty lesions and one of none, both with long subject numbers."""
    home = tmp_path_factory.mktemp("robust") / "home"
    with make_record(home, mode="clinical") as record:

        def add(kind, name, values, patient=""):
            item = Item(kind=kind, item_id=name, site_id="s1", patient_id=patient, version=1, values=values)
            with record.context.store.writing() as writer:
                create_item(record.context, writer, item=item)

        add("site", "s1", {"name": "North", "country_code": "GBR"})
        for patient in ("many", "none"):
            add("patient", patient, {"subject_id": f"{LONG}-{patient}", "status": "screening"}, patient)
        for number in range(LESIONS):
            values = {
                "lesion_label": f"{LABEL}-{number}",
                "tracking_uid": f"2.25.{number + 1}",
                "location": "LIVER",
            }
            add("lesion", f"x{number}", values, "many")
        roles = (Role.COORDINATOR, Role.INVESTIGATOR)
        _, secret = invite_account(
            record.context, login="ben", display_name="B" * 80, roles=roles, site_ids=("s1",)
        )
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture
def case(server, browser, request):
    """A coordinator's browser on a tablet."""
    with open_case(browser, server, request.node.name[:60], size=TABLET) as opened:
        opened.enter("ben")
        yield opened


@pytest.mark.parametrize("patient", ["many", "none"])
def test_no_page_of_a_patient_scrolls_sideways_or_fails_with_long_names_and_sixty_lesions_or_none(
    case, patient
):
    wide = []
    for part in PARTS:
        case.go(f"/patient/{patient}{part}")
        case.page.get_by_text(LONG).first.wait_for()
        over = case.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        if over > WIDER_PX:
            wide.append((part, over))
            case.shot(f"wide{part.replace('/', '-')}")
        assert case.page.get_by_text("Something went wrong").count() == 0, part
    case.check_accessible()
    case.go("/patients")
    case.shot("patients")
    over = case.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert over <= WIDER_PX and not wide, wide


def test_a_slow_server_shows_what_is_read_and_then_the_page(case):
    answered = threading.Event()
    held = []
    case.page.route("**/api/patient/many/visits", lambda route: (held.append(route), answered.set()))
    case.page.goto(f"{case.address}/#/patient/many/visits")
    case.page.get_by_role("status").filter(has_text="Reading the visits").wait_for()
    case.page.get_by_role("link", name="Patients").first.wait_for()
    case.check_accessible()
    assert answered.is_set()
    for route in held:
        route.continue_()
    case.wait_ready()


def test_a_server_that_answers_503_is_said_and_can_be_asked_again(case):
    case.page.route(
        "**/api/patient/many/visits",
        lambda route: route.fulfill(status=503, content_type="text/plain", body="busy"),
    )
    case.page.goto(f"{case.address}/#/patient/many/visits")
    case.page.get_by_role("alert").filter(has_text="503").wait_for()
    case.check_accessible()
    case.shot("refused")
    case.page.unroute("**/api/patient/many/visits")
    case.page.get_by_role("button", name="Try again").click()
    case.wait_ready()
    assert case.page.get_by_role("alert").count() == 0
