"""A needle of the site is chosen for a new plan, its lesion is drawn smaller, and the next plan measures the drawing."""

from __future__ import annotations

import gzip
import re

import nibabel
import numpy as np
import pytest
from browser_case import TABLET, open_case
from cases import write_phantom
from live_server import PASSWORD, start_server
from phantom import make_phantom

from hepatica.bootstrap import make_record
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = pytest.mark.xdist_group("browser-redraw")
JOB_PATIENCE_MS = 4 * 60_000
SPACING_MM = (4.0, 4.0, 4.0)
OWN = "ours, 20 G, 150 mm, side holes"
BLIND = "ours, 20 G, 200 mm, side holes unknown"
ROW = """
[{key}]
name = "{name}"
gauge = 20
outer_diameter_mm = 0.908
length_mm = {length}
hub_allowance_mm = 20.0
dead_space_ml = 0.1
holes = "multi-side"
{offsets}
source = "measured on ours"
status = "unverified"
"""
TABLE = ROW.format(key="a", name=OWN, length=150.0, offsets="hole_offsets_mm = [2.0, 6.0]") + ROW.format(
    key="b", name=BLIND, length=200.0, offsets=""
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A site with needles of its own, and a patient with a scan and its labels."""
    folder = tmp_path_factory.mktemp("redraw")
    home, made = folder / "home", write_phantom(folder / "case", phantom=make_phantom(spacing_mm=SPACING_MM))
    names = dict(row.split(",", 1) for row in made["names"].read_text().splitlines()[1:])
    with make_record(home, mode="clinical") as record:
        files = record.context.files

        def add(kind, name, values, patient="p", site="s1"):
            item = Item(kind=kind, item_id=name, site_id=site, patient_id=patient, version=1, values=values)
            with record.context.store.writing() as writer:
                create_item(record.context, writer, item=item)

        add("site", "s1", {"name": "North"}, "", "")
        add("patient", "p", {"subject_id": "S-1", "status": "screening"})
        scan = {"series_uid": "2.25.1", "modality": "CT", "state": "accepted"}
        add("scan", "ct", {**scan, "content_digest": files.keep_file(made["ct"])})
        seg = {"series_uid": "2.25.2", "modality": "SEG", "state": "accepted", "label_names": names}
        seg |= {"labels_of": "ct", "title": "labels"}
        add("scan", "labels", {**seg, "content_digest": files.keep_file(made["labels"])})
        _, secret = invite_account(
            record.context, login="ida", display_name="Ida", roles=[Role.INVESTIGATOR], site_ids=["s1"]
        )
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    (home / "needles.toml").write_text(TABLE)
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def case(server, browser):
    with open_case(browser, server, "redraw") as opened:
        opened.enter("ida")
        yield opened


def open_new_plan(case) -> str:
    case.page.locator('[data-viewer="overlays"]').wait_for(timeout=JOB_PATIENCE_MS)
    case.wait_ready()
    return re.search(r"/plan/([^/]+)", case.page.url).group(1)


@pytest.fixture(scope="module")
def plan_id(case):
    """The plan made with a needle that a person chose."""
    page = case.page
    case.go("/patient/p/new-plan")
    groups = page.get_by_label("Needle").locator("optgroup")
    assert [group.get_attribute("label") for group in groups.all()] == [
        "Of this site",
        "Shipped with the program",
    ]
    assert "thinnest that reaches" in page.get_by_label("Needle").locator("option").first.inner_text()
    page.get_by_label("Needle").select_option(BLIND)
    page.get_by_text("Where the side holes of this needle lie is not set").wait_for()
    page.get_by_label("Needle").select_option(OWN)
    assert page.get_by_text("Where the side holes of this needle lie is not set").count() == 0
    page.get_by_label("Dose protocol").select_option("tvec-label")
    case.shot("needle")
    case.check_accessible()
    page.set_viewport_size(TABLET)
    case.shot("needle-tablet")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 1
    page.set_viewport_size({"width": 1366, "height": 768})
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("button", name="Open the plan").click(timeout=JOB_PATIENCE_MS)
    return open_new_plan(case)


@pytest.mark.requirement("G-plan-needle")
def test_a_plan_is_made_with_the_needle_that_was_chosen_from_the_sites_own(case, plan_id):
    plan = case.ask(f"/api/files/plan/{plan_id}/plan.json")
    assert {one["needle"]["name"] for one in plan["punctures"]} == {OWN}
    assert OWN in case.page.locator("[data-numbers]").inner_text()


@pytest.mark.requirement("G-plan-redraw")
def test_a_lesion_that_is_drawn_smaller_is_smaller_in_the_next_plan(case, plan_id):
    page = case.page
    before = case.ask(f"/api/files/plan/{plan_id}/plan.json")["lesions"]
    page.get_by_role("tab", name="Structures").click()
    page.get_by_role("button", name="Erase").click()
    page.get_by_label("What is drawn").select_option("lesion:L1")
    page.get_by_text("Takes the place of L1 in the next plan").wait_for()
    page.get_by_label("Brush width").select_option("7")
    # The lesion's name stands right above its middle, on the plane through the tip.
    name = page.locator('[data-plane="axial"] [data-lesion="L1"]').evaluate(
        """text => { const box = text.ownerSVGElement.getBoundingClientRect();
        return {x: box.x + Number(text.getAttribute("x")) - 16, y: box.y + Number(text.getAttribute("y")) + 12}; }"""
    )
    page.mouse.move(name["x"], name["y"])
    page.mouse.down()
    page.mouse.move(name["x"] + 6, name["y"], steps=4)
    page.mouse.up()
    page.get_by_label("Title").fill("L1 smaller, by Ida")
    case.shot("drawn")
    case.check_accessible()
    page.get_by_role("button", name="Save the labels").click()
    page.get_by_text("With what you drew: L1, redrawn").wait_for()
    rows = case.ask("/api/patient/p/timeline")["rows"]
    (drawn,) = [row for row in rows if row["values"].get("title") == "L1 smaller, by Ida"]
    stored = case.context.request.get(f"{case.address}/api/files/scan/{drawn['item_id']}/content").body()
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(stored) if stored[:2] == b"\x1f\x8b" else stored)
    drawn_ml = np.count_nonzero(np.asarray(image.dataobj)) * np.prod(SPACING_MM) / 1000
    assert 0.3 * before[0]["volume_ml"] < drawn_ml < 0.97 * before[0]["volume_ml"]
    page.get_by_role("button", name="Plan again").click()
    page.get_by_role("button", name="Open the new plan").click(timeout=JOB_PATIENCE_MS)
    page.wait_for_url(lambda url: plan_id not in url)
    again = open_new_plan(case)
    after = case.ask(f"/api/files/plan/{again}/plan.json")
    assert [one["id"] for one in after["lesions"]] == ["L1"]
    assert after["lesions"][0]["volume_ml"] == pytest.approx(drawn_ml, rel=1e-4)
    page.get_by_role("tab", name=re.compile("^Findings")).click()
    page.get_by_text("was redrawn by a person").first.wait_for()
    case.shot("findings")
    # What it redraws stays: the old labels, the old plan, and both in the request of the new one.
    labels = case.ask(f"/api/plan/{again}")["values"]["request"]["labels"]
    assert [one["scan_id"] for one in labels] == ["labels", drawn["item_id"]]
    assert case.ask("/api/scan/labels")["values"]["state"] == "accepted"
    assert case.ask(f"/api/files/plan/{plan_id}/plan.json")["lesions"] == before
