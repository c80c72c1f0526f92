"""From a zip of DICOM to a needle that is moved on the scan, in the browser, on the demonstration case."""

from __future__ import annotations

import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from browser_case import PATIENCE_MS, TABLET, open_case
from live_server import PASSWORD, WRITES, start_server

from hepatica.bootstrap import make_demo_request, make_record
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

JOB_PATIENCE_MS = 8 * 60_000
"""Planning the demonstration case takes half a minute on a quiet machine with two cores."""
ROUNDING_MM = 0.051
ROUNDING_DEG = 0.51
TINT = 10
"""Red above blue in a pixel, of 255: labels of liver and lesion are the only warm things in a grey picture."""
BRIGHT = 200


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("plan") / "home"
    with make_record(home, mode="clinical") as record:
        site = Item(kind="site", item_id="s1", site_id="", patient_id="", version=1, values={"name": "North"})
        with record.context.store.writing() as writer:
            create_item(record.context, writer, item=site)
        _, secret = invite_account(
            record.context, login="ida", display_name="Ida", roles=[Role.INVESTIGATOR, Role.COORDINATOR],
            site_ids=["s1"],
        )  # fmt: skip
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    running = start_server(home)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def planned(server, browser):
    """Patient, scan, labels and plan, all made through the pages; returns the addresses of patient and plan."""
    demo = make_demo_request()
    with open_case(browser, server, "import") as case:
        page = case.page
        case.enter("ida")
        case.go("/patients")
        page.get_by_role("button", name="Add a patient").click()
        page.get_by_label("Subject number", exact=True).fill("HCC-015")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("link", name="Import scans").click()
        page.get_by_label("Zip or DICOM file").set_input_files(demo.image)
        page.locator('[data-job="done"]').wait_for(timeout=JOB_PATIENCE_MS)
        page.get_by_role("cell", name="identity differs").wait_for()
        case.shot("found")
        case.check_accessible()
        page.get_by_role("link", name="To the timeline").click()
        case.wait_ready()
        # Who the images name is entered nowhere: a person decides.
        page.get_by_role("button", name="Accept", exact=True).click()
        page.get_by_label("Reason").fill("public demonstration case")
        page.get_by_role("dialog").get_by_role("button", name="Accept").click()
        page.locator('[data-kind="scan"]').get_by_text("accepted").wait_for()
        case.shot("timeline")
        case.check_accessible()
        patient = re.search(r"/patient/([^/]+)", page.url).group(1)
        page.get_by_role("link", name="New plan").click()
        page.get_by_role("button", name="Add a map of labels").click()
        page.get_by_label("NIfTI file").set_input_files(demo.labels[0].path)
        page.get_by_label("Names by value").fill("1 body, 2 lung, 3 liver, 4 lesion")
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_label(re.compile("body, lung, liver, lesion")).wait_for(timeout=JOB_PATIENCE_MS)
        page.get_by_label("Dose protocol").select_option("tvec-label")
        page.get_by_label("Tumour type").select_option("hcc")
        case.shot("new-plan")
        case.check_accessible()
        page.get_by_role("button", name="Plan", exact=True).click()
        page.get_by_role("button", name="Open the plan").click(timeout=JOB_PATIENCE_MS)
        case.wait_ready()
        plan = re.search(r"/plan/([^/]+)", page.url).group(1)
    return patient, plan


@pytest.fixture(scope="module")
def opened(server, browser, planned):
    """The plan's page with its live session."""
    patient, plan = planned
    with open_case(browser, server, "plan") as case:
        case.enter("ida")
        case.go(f"/patient/{patient}/plan/{plan}")
        case.page.locator('[data-session="open"]').wait_for(timeout=JOB_PATIENCE_MS)
        yield case, plan


def read_number(page, field: str) -> float:
    text = page.locator(f'[data-field="{field}"]').inner_text()
    return float(re.sub(r"[^0-9.\-]", "", text.replace("\u2212", "-")))


def move(page, plane: str, end: str, dx: float, dy: float = 0.0) -> dict:
    """Drag an end in a plane; returns what the page then asked the server."""
    before = page.locator("[data-live]").get_attribute("data-asked")
    box = page.locator(f'[data-plane="{plane}"] [data-handle="{end}"]').bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y + dy, steps=3)
    page.mouse.up()
    page.wait_for_function(
        """before => { const live = document.querySelector("[data-live]");
        return live.dataset.live === "fresh" && live.dataset.asked !== (before ?? ""); }""",
        arg=before,
    )
    return json.loads(page.locator("[data-live]").get_attribute("data-asked"))


def look(page, plane: str) -> np.ndarray:
    """The picture of one plane as (height, width, 3) numbers."""
    from PIL import Image

    clip = page.locator(f"#clip-{plane} rect").evaluate(
        """rect => { const box = rect.ownerSVGElement.getBoundingClientRect();
        const at = name => Number(rect.getAttribute(name));
        return {x: box.x + at("x"), y: box.y + at("y"), width: at("width"), height: at("height")}; }"""
    )
    return np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB")).astype(int)


@pytest.mark.requirement("G-import")
def test_a_zip_is_imported_a_person_decides_about_the_identity_and_the_timeline_tells_it(
    server, browser, planned
):
    patient, plan = planned
    with open_case(browser, server, "told", size=TABLET) as case:
        case.enter("ida")
        case.go(f"/patient/{patient}")
        rows = case.ask(f"/api/patient/{patient}/timeline")["rows"]
        assert [row["kind"] for row in rows].count("scan") == 2 and plan in [row["item_id"] for row in rows]
        for row in rows:
            case.page.locator(f'[data-item="{row["item_id"]}"]').wait_for()
        case.check_accessible()


@pytest.mark.requirement("G-plan-numbers")
def test_the_numbers_on_the_page_are_those_of_the_interface_and_of_the_sheet(opened):
    case, plan_id = opened
    plan = case.ask(f"/api/files/plan/{plan_id}/plan.json")
    first = plan["punctures"][0]
    assert abs(read_number(case.page, "length_mm") - first["length_mm"]) < ROUNDING_MM
    assert abs(read_number(case.page, "in_plane_angle_deg") - first["in_plane_angle_deg"]) < ROUNDING_DEG
    assert (
        abs(read_number(case.page, "liver_before_lesion_mm") - first["liver_before_lesion_mm"]) < ROUNDING_MM
    )
    for clearance in first["clearances"]:
        shown = case.page.locator(f'[data-clearance="{clearance["structure"]}"]').inner_text()
        if isinstance(clearance["clearance_mm"], float):
            assert f"{abs(clearance['clearance_mm']):.1f}" in shown
    assert case.page.locator("[data-status]").get_attribute("data-status") == plan["status"]
    if shutil.which("pdftotext"):
        pdf = case.context.request.get(f"{case.address}/api/files/plan/{plan_id}/sheet.pdf").body()
        text = subprocess.run(
            ["pdftotext", "-layout", "-", "-"], input=pdf, capture_output=True, check=True
        ).stdout.decode()
        page_text = case.page.locator('[data-field="length_mm"]').inner_text().split("\u202f")[0]
        # The sheet rounds to whole millimetres where it says lengths.
        assert page_text in text or f"{float(page_text):.0f} mm" in re.sub(r"[\u202f\u00a0]", " ", text)
    case.shot("numbers")
    case.check_accessible()


@pytest.mark.requirement("G-orientation")
def test_the_patients_left_is_on_the_right_of_the_picture_and_his_back_on_the_right_of_the_sagittal(opened):
    case, _ = opened
    page = case.page
    edges = {
        plane: {
            edge: page.locator(f'[data-plane="{plane}"] [data-edge="{edge}"]').inner_text()
            for edge in ("left", "right", "top", "bottom")
        }
        for plane in ("axial", "coronal", "sagittal")
    }
    assert edges["axial"] == {"left": "R", "right": "L", "top": "A", "bottom": "P"}
    assert edges["coronal"] == {"left": "R", "right": "L", "top": "H", "bottom": "F"}
    assert edges["sagittal"] == {"left": "A", "right": "P", "top": "H", "bottom": "F"}
    # The picture itself, not only what is written on it: the liver lies on the patient's right.
    for plane in ("axial", "coronal"):
        picture = look(page, plane)
        columns = np.nonzero(picture[..., 0] - picture[..., 2] > TINT)[1]
        assert len(columns) > 500 and columns.mean() < 0.5 * picture.shape[1], plane
    page.keyboard.press("3")
    page.locator("[data-live]").wait_for()
    axial = look(page, "axial")
    rows = np.nonzero(axial.min(axis=2) > BRIGHT)[0]
    assert len(rows) > 50 and rows.mean() > 0.5 * axial.shape[0], "spine and table lie below"
    page.keyboard.press("1")
    # What is dragged to the right of the picture goes to the patient's left, or to his back.
    start = json.loads(page.locator("[data-live]").get_attribute("data-asked") or "null")
    one = move(page, "axial", "tip", 0, 8)
    two = move(page, "axial", "tip", 12)
    assert two["tip"][0] > one["tip"][0] + 2 and abs(two["tip"][1] - one["tip"][1]) < 1.5
    three = move(page, "coronal", "tip", -12)
    assert three["tip"][0] < two["tip"][0] - 2 and start is None
    four = move(page, "sagittal", "tip", 8)
    assert four["tip"][1] > three["tip"][1] + 1
    five = move(page, "sagittal", "tip", 0, -8)
    assert five["tip"][2] > four["tip"][2] + 1, "up is toward the head"
    page.keyboard.press("r")
    page.locator('[data-live="plan"]').wait_for()


@pytest.mark.requirement("G-plan-drag")
def test_a_needle_that_is_dragged_shows_what_the_interface_answers_for_it(opened):
    case, plan_id = opened
    page = case.page
    wish = move(page, "axial", "entry", 10, 2)
    body = {
        "client": "journey", "sequence": 1, "lesion_id": wish["lesionId"], "entry_lps_mm": wish["entry"],
        "tip_lps_mm": wish["tip"], "volume_ml": wish["volumeMl"],
    }  # fmt: skip
    answer = case.context.request.post(
        f"{case.address}/api/plan/{plan_id}/session/path", data=json.dumps(body), headers=WRITES
    )
    puncture = answer.json()["answer"]["puncture"]
    assert abs(read_number(page, "length_mm") - puncture["length_mm"]) < ROUNDING_MM
    assert abs(read_number(page, "in_plane_angle_deg") - puncture["in_plane_angle_deg"]) < ROUNDING_DEG
    shown = page.locator('[data-field="p_tip_in_target"]').inner_text()
    assert f"{100 * puncture['risk']['p_tip_in_target']['p']:.0f}" in shown
    assert int(page.locator("[data-live]").get_attribute("data-took-ms")) < PATIENCE_MS
    case.shot("dragged")
    page.get_by_role("button", name=re.compile("Back to")).click()
    page.locator('[data-live="plan"]').wait_for()
    # The same with the keyboard alone.
    page.locator('[data-plane="axial"] [data-handle="tip"]').focus()
    page.keyboard.press("ArrowRight")
    page.locator('[data-live="fresh"]').wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("button", name=re.compile("Back to")).click()


@pytest.mark.requirement("G-plan-choose")
def test_other_paths_are_shown_one_is_chosen_a_dose_is_changed_and_a_structure_accepted(opened):
    case, plan_id = opened
    page = case.page
    options = page.locator("select").first.locator("option").all_inner_texts()
    assert any("backup" in text for text in options) and any("alternative" in text for text in options)
    backup = next(text for text in options if "backup" in text)
    page.locator("select").first.select_option(label=backup)
    page.get_by_role("button", name=re.compile("Choose P1b")).click()
    page.get_by_text("chosen for L1").first.wait_for()
    page.get_by_role("tab", name="Doses").click()
    page.get_by_role("button", name="Change the volume").first.click()
    page.get_by_label("Volume (mL)").fill("1.5")
    page.get_by_label("Reason").fill("vessel beside the deposit")
    page.get_by_role("dialog").get_by_role("button", name="Change").click()
    page.get_by_text("changed by hand").wait_for()
    case.shot("doses")
    case.check_accessible()
    page.get_by_role("tab", name="Structures").click()
    page.get_by_role("button", name="Accept bone").click()
    page.get_by_label("Your name, as reviewer").fill("Dr Ida")
    page.get_by_role("dialog").get_by_role("button", name="Accept").click()
    page.get_by_text("accepted: Dr Ida").wait_for()
    case.shot("structures")
    case.check_accessible()
    values = case.ask(f"/api/plan/{plan_id}")["values"]
    assert values["chosen_punctures"] == ["P1b"]
    assert values["dose_changes"][-1]["volume_ml"] == 1.5
    assert values["dose_changes"][-1]["reason"] == "vessel beside the deposit"
    assert values["accepted_structures"] == [{"structure": "bone", "accepted_by": "Dr Ida"}]
    page.get_by_role("tab", name="Findings").click()
    case.check_accessible()
    page.get_by_role("tab", name="Path").click()


@pytest.mark.requirement("G-plan-redraw")
def test_what_is_drawn_on_the_scan_is_kept_as_labels_that_a_new_plan_can_use(opened, planned):
    case, _ = opened
    page, (patient, _) = case.page, planned
    page.get_by_role("tab", name="Structures").click()
    page.get_by_role("button", name="Brush").click()
    box = page.locator("#clip-axial rect").evaluate(
        """rect => { const box = rect.ownerSVGElement.getBoundingClientRect();
        return {x: box.x + Number(rect.getAttribute("x")), y: box.y + Number(rect.getAttribute("y")),
                width: Number(rect.getAttribute("width")), height: Number(rect.getAttribute("height"))}; }"""
    )
    x, y = box["x"] + 0.3 * box["width"], box["y"] + 0.5 * box["height"]
    page.mouse.move(x, y)
    page.mouse.down()
    for dx, dy in ((20, 0), (20, 20), (0, 20), (0, 0)):
        page.mouse.move(x + dx, y + dy, steps=5)
    page.mouse.up()
    page.get_by_label("What is drawn").select_option("gallbladder")
    page.get_by_label("Title").fill("gallbladder, by Ida")
    case.shot("drawn")
    page.get_by_role("button", name="Save the labels").click()
    page.get_by_text("With what you drew: gallbladder").wait_for()
    rows = case.ask(f"/api/patient/{patient}/timeline")["rows"]
    (drawn,) = [row for row in rows if row["values"].get("title") == "gallbladder, by Ida"]
    assert drawn["values"]["label_names"] == {"1": "gallbladder"}
    stored = case.context.request.get(f"{case.address}/api/files/scan/{drawn['item_id']}/content").body()
    import nibabel

    data = stored if stored[:2] != b"\x1f\x8b" else __import__("gzip").decompress(stored)
    image = nibabel.Nifti1Image.from_bytes(data)
    voxels = np.argwhere(np.asarray(image.dataobj) == 1)
    ras = voxels @ image.affine[:3, :3].T + image.affine[:3, 3]
    # Drawn on the left of the axial picture: on the patient's right, which is positive in RAS.
    assert len(voxels) > 20 and (ras[:, 0] > 0).all()
    page.get_by_role("tab", name="Path").click()
