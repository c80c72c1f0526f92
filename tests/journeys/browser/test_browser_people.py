"""The first administrator enters, makes a site, invites; the end of a session loses nothing."""

from __future__ import annotations

import pytest
from browser_case import TABLET, open_case
from live_server import PASSWORD, start_server

from hepatica.bootstrap import make_record


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("people") / "home"
    with make_record(home, mode="clinical"):
        pass
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def administrator(server, browser):
    """The first account, made through the printed link."""
    with open_case(browser, server, "first-login") as case:
        case.page.goto(f"{case.address}/#/link/{server.link}")
        case.page.get_by_label("New password").fill(PASSWORD)
        case.page.get_by_label("The same again").fill(PASSWORD)
        case.shot("link")
        case.check_accessible()
        case.page.get_by_role("button", name="Set password").click()
        case.page.get_by_label("Login").wait_for()
    return "administrator"


@pytest.mark.requirement("G-first-login")
def test_the_first_administrator_makes_a_site_and_invites_a_person_who_then_enters(
    server, browser, administrator
):
    with open_case(browser, server, "people") as case:
        case.enter(administrator)
        case.wait_ready()
        case.page.get_by_role("button", name="Add a site").click()
        case.page.get_by_label("Name of the site").fill("St Elsewhere")
        case.page.get_by_role("button", name="Add", exact=True).click()
        case.page.get_by_role("cell", name="St Elsewhere").wait_for()
        case.page.get_by_role("button", name="Invite a person").click()
        case.page.get_by_label("Name", exact=True).fill("A. Investigator")
        case.page.get_by_label("Login").fill("inv")
        case.page.get_by_label("investigator").check()
        case.page.get_by_label("coordinator").check()
        case.shot("invite")
        case.check_accessible()
        case.page.get_by_role("button", name="Invite", exact=True).click()
        link = case.page.locator("[data-link]").inner_text()
        case.page.get_by_role("button", name="Done").click()
        case.page.get_by_role("cell", name="A. Investigator (inv)").wait_for()
        case.shot("people")
        case.check_accessible()
        (site,) = case.ask("/api/site")["items"]
        invited = next(row for row in case.ask("/api/account")["items"] if row["values"]["login"] == "inv")
        assert invited["values"]["site_ids"] == [site["item_id"]]
    with open_case(browser, server, "invited", size=TABLET) as case:
        case.page.goto(link)
        case.page.get_by_label("New password").fill(PASSWORD)
        case.page.get_by_label("The same again").fill(PASSWORD)
        case.page.get_by_role("button", name="Set password").click()
        case.page.get_by_label("Login").wait_for()
        case.enter("inv")
        assert case.ask("/api/me")["roles"] == ["coordinator", "investigator"]


@pytest.mark.requirement("G-first-login")
def test_a_wrong_password_is_refused_without_saying_which_half_was_wrong(server, browser, administrator):
    with open_case(browser, server, "refused") as case:
        case.page.goto(case.address)
        case.page.get_by_label("Login").fill(administrator)
        case.page.get_by_label("Password").fill("not it at all")
        case.page.get_by_role("button", name="Log in").click()
        case.page.get_by_role("alert").get_by_text("do not belong together").wait_for()
        case.check_accessible()


@pytest.mark.requirement("G-session-end")
def test_after_the_end_of_a_session_the_page_asks_for_a_login_and_what_was_entered_is_sent(
    server, browser, administrator
):
    with open_case(browser, server, "session-end") as case:
        case.enter(administrator)
        case.wait_ready()
        case.page.get_by_role("button", name="Add a site").click()
        case.page.get_by_label("Name of the site").fill("Kept Hospital")
        case.context.clear_cookies()
        case.page.get_by_role("button", name="Add", exact=True).click()
        again = case.page.get_by_role("dialog", name="Your session has ended")
        again.get_by_label("Login").fill(administrator)
        again.get_by_label("Password").fill(PASSWORD)
        case.shot("again")
        again.get_by_role("button", name="Log in").click()
        case.page.get_by_role("cell", name="Kept Hospital").wait_for()
        names = [site["values"]["name"] for site in case.ask("/api/site")["items"]]
        assert names.count("Kept Hospital") == 1
