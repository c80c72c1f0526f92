"""A study is fetched from a PACS and a plan is sent back to it, in the browser: an archive of ours, and Orthanc."""

from __future__ import annotations

import json
from contextlib import contextmanager

import pytest
from browser_case import TABLET, open_case
from dicomout_series import make_headers, make_read_files, make_small_context, to_files
from live_server import PASSWORD, start_server
from pacs_servers import Shelf, find_port, run_orthanc, serve_dimse, write_config
from plan_pages import PlanShape, add_plan
from scan_records import NUMBER, open_test_record, write_scan
from shared_plans import share_two_lesions

from hepatica.adapters.dicom.plan_writers import make_plan_writers
from hepatica.bootstrap import make_pacs_directory
from hepatica.core.progress import SILENT
from hepatica.record.item import Item
from hepatica.record.people import Role
from hepatica.workflows.accounts import accept_link, invite_account
from hepatica.workflows.change_item import create_item

pytestmark = pytest.mark.xdist_group("browser-pacs")
STUDY = "2.25.10"
IMAGES = 6
JOB_PATIENCE_MS = 120_000


def write_objects(folder) -> dict[str, bytes]:
    """The DICOM objects of a plan, filed in the study that the archive holds."""
    made = make_small_context()
    headers = list(make_headers(made.image.volume.grid, frame="2.25.5"))
    for header in headers:
        header.StudyInstanceUID = STUDY
    folder.mkdir()
    (folder / "sheet.pdf").write_bytes(b"%PDF-1.7\n%%EOF\n")
    for writer in make_plan_writers(make_read_files(to_files(headers))):
        writer.write_plan(made, folder, progress=SILENT)
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.dcm"))}


@contextmanager
def serve_record(folder, base, configure):
    """A server whose patient p has a plan on a scan that came from the PACS called radiology."""
    home = folder / "home"
    with open_test_record(home) as (record, _):
        configure(home)
        site = Item(kind="site", item_id="s1", site_id="", patient_id="", version=1, values={"name": "North"})
        with record.context.store.writing() as writer:
            create_item(record.context, writer, item=site)
        origin = {"source_pacs": "radiology", "study_uid": STUDY}
        add_plan(
            record, base, PlanShape(), patient_id="p", plan_id="n1", scan=origin, files=write_objects(folder / "objects")
        )  # fmt: skip
        _, secret = invite_account(
            record.context, login="ida", display_name="Ida", roles=[Role.INVESTIGATOR], site_ids=["s1"]
        )
        accept_link(record.context, record.passwords, secret=secret, password=PASSWORD)
    server = start_server(home)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def base(shared):
    return json.loads((share_two_lesions(shared).folder / "plan.json").read_text())


def fetch(case):
    """Find the study of the patient in the archive and take it, through the import page."""
    page = case.page
    case.go("/patient/p/import")
    page.get_by_role("button", name="Look for studies of this patient").click()
    row = page.get_by_role("row").filter(has_text=NUMBER)
    row.wait_for()
    case.shot("study")
    case.check_accessible()
    row.get_by_role("button", name="Import").click()
    page.locator('[data-job="done"]').wait_for(timeout=JOB_PATIENCE_MS)
    page.get_by_role("cell", name=str(IMAGES), exact=True).first.wait_for()
    case.shot("fetched")
    rows = case.ask("/api/patient/p/timeline")["rows"]
    return [one for one in rows if one["kind"] == "scan" and one["values"].get("image_count") == IMAGES]


def send(case):
    """Send the plan back to where its scan came from, through the plan page."""
    page = case.page
    case.go("/patient/p/plan/n1")
    page.get_by_role("tab", name="Do", exact=True).click()
    page.get_by_role("button", name="Send to PACS").click()


@pytest.mark.requirement("G-plan-pacs")
@pytest.mark.requirement("G-import-pacs")
def test_a_study_comes_from_an_archive_and_a_plan_goes_back_to_it_and_a_refusal_is_told(
    browser, tmp_path, base
):
    shelf, receiving = Shelf(), find_port()
    shelf.fill(write_scan(tmp_path / "scan"))
    with serve_dimse(shelf, destination=("127.0.0.1", receiving)) as called:
        options = {
            "protocol": "dimse", "host": "127.0.0.1", "port": called, "called_ae": "ARCHIVE",
            "receive_port": receiving, "timeout_s": 10,
        }  # fmt: skip
        with (
            serve_record(tmp_path, base, lambda home: write_config(home, "radiology", **options)) as server,
            open_case(browser, server, "pacs", size=TABLET) as case,
        ):
            case.enter("ida")
            (scan,) = fetch(case)
            stored = case.ask(f"/api/scan/{scan['item_id']}")["values"]
            assert (stored["source_pacs"], stored["state"]) == ("radiology", "accepted")
            shelf.requests.clear()
            send(case)
            case.page.get_by_text("3 objects were sent to radiology").wait_for()
            case.shot("sent")
            case.check_accessible()
            assert sorted(shelf.requests) == ["DOC", "SEG", "SR"]
            assert {image.Modality for image in shelf.find(STUDY)} == {"CT", "DOC", "SEG", "SR"}
            # An archive that takes no more: nothing is called sent.
            shelf.requests.clear()
            shelf.refuses_after = 1
            # A fresh page: what it said of the first sending is gone.
            case.page.goto("about:blank")
            send(case)
            case.page.get_by_role("alert").filter(has_text="PACS").wait_for()
            case.shot("refused")
            assert case.page.get_by_text("objects were sent").count() == 0


@pytest.mark.requirement("G-plan-pacs")
@pytest.mark.requirement("G-import-pacs")
@pytest.mark.tool("Orthanc", "orthanc orthanc-dicomweb")
def test_orthanc_gives_a_study_to_the_import_page_and_takes_a_plan_from_the_plan_page(
    browser, tmp_path, base
):
    source = write_scan(tmp_path / "scan")
    with run_orthanc(tmp_path / "orthanc", receive_port=find_port()) as (http, _):

        def configure(home):
            url = f"http://127.0.0.1:{http}/dicom-web"
            write_config(home, "radiology", protocol="dicomweb", url=url, timeout_s=20)
            archive = make_pacs_directory(home).open("radiology")
            assert archive.send([file.read_bytes() for file in source.iterdir()], progress=SILENT) == IMAGES

        with (
            serve_record(tmp_path, base, configure) as server,
            open_case(browser, server, "orthanc") as case,
        ):
            case.enter("ida")
            assert len(fetch(case)) == 1
            send(case)
            case.page.get_by_text("3 objects were sent to radiology").wait_for()
            case.shot("sent")
