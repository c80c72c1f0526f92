"""The plan page holds: sixty lesions, none, a scan of a thousand slices, long names, a slow server."""

from __future__ import annotations

import json
import re
import shutil

import pytest
from browser_case import LAPTOP, TABLET, open_case
from cases import write_phantom
from dicom_cases import write_study
from live_server import PASSWORD, start_server
from phantom import make_phantom
from plan_pages import PlanShape, add_plan
from shared_plans import share_two_lesions

from hepatica.bootstrap import make_record
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = [pytest.mark.xdist_group("browser-plan-holds"), pytest.mark.requirement("G-robust")]
LONG = "SUBJECT-" + "0123456789" * 7
LABEL = "segment-VIII-subcapsular-beside-the-right-hepatic-vein-" + "x" * 40
SIXTY, SLICES = 60, 1000
SOAK_PATIENCE_MS = 9 * 60_000
WIDER_PX = 1
"""A pixel of rounding is no sideways scrolling."""
PLANS = {
    "sixty": PlanShape(lesions=SIXTY, label=LABEL),
    "none": PlanShape(lesions=0),
    "tall": PlanShape(shape_ijk=(64, 64, SLICES), spacing_mm=(6.0, 6.0, 0.6)),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, shared):
    """A server with one patient and his three plans."""
    base = json.loads((share_two_lesions(shared).folder / "plan.json").read_text())
    home = tmp_path_factory.mktemp("holds") / "home"
    with make_record(home, mode="clinical") as record:
        with record.context.store.writing() as writer:
            for kind, name, patient, values in (
                ("site", "s1", "", {"name": "North", "country_code": "GBR"}),
                ("patient", "p", "p", {"subject_id": LONG, "status": "screening"}),
            ):
                item = Item(
                    kind=kind, item_id=name, site_id="" if kind == "site" else "s1", patient_id=patient, version=1,
                    values=values,
                )  # fmt: skip
                create_item(record.context, writer, item=item)
        for plan_id, shape in PLANS.items():
            add_plan(record, base, shape, patient_id="p", plan_id=plan_id)
        _, secret = invite_account(
            record.context, login="ida", display_name="I" * 80, roles=[Role.INVESTIGATOR], site_ids=["s1"]
        )
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture(params=[LAPTOP, TABLET], ids=["laptop", "tablet"])
def case(server, browser, request):
    with open_case(browser, server, f"holds-{request.node.name[:50]}", size=request.param) as opened:
        opened.enter("ida")
        yield opened


def open_plan(case, plan):
    case.go(f"/patient/p/plan/{plan}")
    case.page.locator('[data-viewer="overlays"]').wait_for()


def check_width(case, where):
    over = case.page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    assert over <= WIDER_PX, (where, over)
    # Nothing in the side panel is cut off either: it scrolls down, never sideways.
    wide = case.page.locator("#plan-panel").evaluate("panel => panel.scrollWidth - panel.clientWidth")
    assert wide <= WIDER_PX, (where, wide)
    assert case.page.get_by_text("Something went wrong").count() == 0, where


def test_a_plan_of_sixty_lesions_with_long_names_is_shown_whole_and_can_be_worked_with(case):
    page = case.page
    open_plan(case, "sixty")
    options = page.locator("#plan-panel select").first.locator("option").all_inner_texts()
    assert len(options) == PLANS["sixty"].with_paths
    for tab in ("Path", "Doses", "Structures", "Findings", "Do"):
        page.get_by_role("tab", name=re.compile(rf"^{tab}\b")).click()
        check_width(case, tab)
        case.shot(tab.lower())
        case.check_accessible()
    page.get_by_role("tab", name="Structures").click()
    assert page.locator("#plan-panel li").filter(has_text=re.compile(r"L\d+ ")).count() == SIXTY
    page.get_by_role("tab", name="Doses").click()
    assert page.locator("[data-injection]").count() == SIXTY
    # A lesion far down the list is chosen, and the planes go to it.
    page.get_by_role("tab", name="Path").click()
    page.locator("#plan-panel select").first.select_option("P20")
    page.locator('[data-plane="axial"] [data-lesion="L20"]').wait_for()


def test_a_plan_without_lesions_says_so_over_its_scan(case):
    open_plan(case, "none")
    case.page.get_by_text("No lesion is labelled on this scan").wait_for()
    for tab in ("Doses", "Structures", "Findings", "Do"):
        case.page.get_by_role("tab", name=re.compile(rf"^{tab}\b")).click()
        check_width(case, tab)
    case.check_accessible()


def test_a_scan_of_a_thousand_slices_is_shown_and_walked_through_to_both_ends(case):
    page = case.page
    open_plan(case, "tall")
    check_width(case, "tall")
    grid = case.ask("/api/plan/tall/scene")["grid"]
    assert grid["shape_ijk"][2] == SLICES

    def read_tip():
        return page.locator('[data-plane="axial"] [data-track="shown"]').first.get_attribute("opacity")

    assert read_tip() == "1", "it opens on the plane of the tip"
    # Out of the path's planes, a plane at a time, by the keyboard alone.
    for _ in range(40):
        page.keyboard.press("ArrowUp")
    page.locator('[data-plane="axial"] [data-track="shown"][opacity="0.55"]').wait_for()
    page.keyboard.press("t")
    page.locator('[data-plane="axial"] [data-track="shown"][opacity="1"]').wait_for()
    case.shot("thousand-slices")
    case.check_accessible()


@pytest.mark.parametrize("case", [LAPTOP], indirect=True, ids=["laptop"])
def test_a_slow_server_shows_first_what_it_reads_then_the_plan_and_at_last_the_scan(case):
    page, held = case.page, {"scene": [], "volume": []}
    page.route("**/api/plan/sixty/scene", lambda route: held["scene"].append(route))
    page.route("**/api/plan/sixty/volume.nii.gz*", lambda route: held["volume"].append(route))
    with page.expect_request("**/api/plan/sixty/scene"):
        page.goto(f"{case.address}/#/patient/p/plan/sixty")
    page.get_by_role("status").filter(has_text="Reading the plan").wait_for()
    case.check_accessible()
    with page.expect_request("**/api/plan/sixty/volume.nii.gz*"):
        held["scene"].pop().continue_()
    # The numbers can be read while the scan is on its way.
    page.locator('[data-field="length_mm"]').wait_for()
    page.get_by_text("Reading the scan").wait_for()
    assert page.locator('[data-viewer="overlays"]').count() == 0
    page.get_by_role("tab", name="Doses").click()
    page.locator('[data-injection="L60"]').wait_for()
    case.shot("waits")
    case.check_accessible()
    held["volume"].pop().continue_()
    page.locator('[data-viewer="overlays"]').wait_for()
    case.wait_ready()


@pytest.mark.parametrize("case", [LAPTOP], indirect=True, ids=["laptop"])
def test_a_volume_that_fails_is_told_beside_the_numbers_and_can_be_asked_for_again(case):
    page = case.page
    page.route(
        "**/api/plan/tall/volume.nii.gz*",
        lambda route: route.fulfill(status=503, content_type="text/plain", body="busy"),
    )
    page.goto(f"{case.address}/#/patient/p/plan/tall")
    page.get_by_role("alert").filter(has_text="503").wait_for()
    page.locator('[data-field="length_mm"]').wait_for()
    page.unroute("**/api/plan/tall/volume.nii.gz*")
    page.get_by_role("button", name="Try again").first.click()
    page.locator('[data-viewer="overlays"]').wait_for()


@pytest.mark.requirement("G-plan-bytes-once")
@pytest.mark.parametrize("case", [LAPTOP], indirect=True, ids=["laptop"])
def test_a_change_of_a_dose_reads_the_plan_again_but_no_byte_of_its_volumes(case):
    page, asked = case.page, []
    page.on("request", lambda request: asked.append(request.url.partition("/api/")[2].partition("?")[0]))
    open_plan(case, "tall")
    page.locator("canvas").nth(1).wait_for()
    canvas = page.locator("canvas").first.evaluate("canvas => { canvas.dataset.same = 'yes'; return true; }")
    assert canvas
    before = list(asked)
    page.get_by_role("tab", name="Doses").click()
    with page.expect_response(re.compile("/api/plan/tall$")):
        page.locator('[data-injection="L1"]').get_by_role("button", name="Change the volume").click()
        page.get_by_label("Volume (mL)").fill("0.4")
        page.get_by_label("Reason").fill("a vessel beside the deposit")
        page.get_by_role("dialog").get_by_role("button", name="Change").click()
    page.locator('[data-injection="L1"]').get_by_text("changed by hand").wait_for()
    after = asked[len(before) :]
    assert "plan/tall" in after and "plan/tall/scene" in after, "what may have changed is read again"
    bytes_again = [path for path in after if path.endswith((".nii.gz", "/surfaces", "plan.json"))]
    assert not bytes_again, bytes_again
    assert [path for path in before if path.endswith("volume.nii.gz")] == ["plan/tall/volume.nii.gz"]
    assert page.locator('canvas[data-same="yes"]').count() == 1, "the viewer was not opened again"
    assert case.ask("/api/plan/tall")["values"]["dose_changes"][-1]["volume_ml"] == 0.4


@pytest.mark.soak
@pytest.mark.parametrize("case", [LAPTOP], indirect=True, ids=["laptop"])
def test_a_scan_of_a_thousand_slices_goes_through_import_and_planning_to_the_page(case, tmp_path):
    page = case.page
    phantom = make_phantom(spacing_mm=(6.0, 6.0, 240.0 / SLICES))
    study = write_study(tmp_path, phantom=phantom)
    upload = shutil.make_archive(str(tmp_path / "scan"), "zip", study["ct"])
    made = write_phantom(tmp_path / "labels", phantom=phantom)
    case.go("/patient/p/import")
    page.get_by_label("Zip or DICOM file").set_input_files(upload)
    page.locator('[data-job="done"]').wait_for(timeout=SOAK_PATIENCE_MS)
    page.get_by_role("cell", name=str(SLICES), exact=True).wait_for()
    (scan,) = [
        row for row in case.ask("/api/patient/p/timeline")["rows"]
        if row["kind"] == "scan" and row["values"].get("study_uid") and row["values"].get("image_count") == SLICES
    ]  # fmt: skip
    if scan["values"]["state"] != "accepted":
        case.go("/patient/p")
        page.locator(f'[data-item="{scan["item_id"]}"]').get_by_role(
            "button", name="Accept", exact=True
        ).click()
        page.get_by_label("Reason").fill("made for a test")
        page.get_by_role("dialog").get_by_role("button", name="Accept").click()
        page.locator(f'[data-item="{scan["item_id"]}"]').get_by_text("accepted").wait_for()
    case.go("/patient/p/new-plan")
    page.get_by_label("Scan to plan on").select_option(scan["item_id"])
    page.get_by_role("button", name="Add a map of labels").click()
    page.get_by_label("NIfTI file").set_input_files(made["labels"])
    names = made["names"].read_text().splitlines()[1:]
    page.get_by_label("Names by value").fill(
        ", ".join(row.replace(",", " ", 1).replace("_", " ") for row in names)
    )
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_label(re.compile("portal vein")).first.wait_for(timeout=SOAK_PATIENCE_MS)
    page.get_by_label("Dose protocol").select_option("tvec-label")
    page.get_by_role("button", name="Plan", exact=True).click()
    page.get_by_role("button", name="Open the plan").click(timeout=SOAK_PATIENCE_MS)
    page.locator('[data-viewer="overlays"]').wait_for(timeout=SOAK_PATIENCE_MS)
    page.locator('[data-session="open"]').wait_for(timeout=SOAK_PATIENCE_MS)
    check_width(case, "soak")
    plan = re.search(r"/plan/([^/]+)", page.url).group(1)
    assert case.ask(f"/api/plan/{plan}/scene")["grid"]["shape_ijk"][2] == SLICES
    case.shot("imported")
