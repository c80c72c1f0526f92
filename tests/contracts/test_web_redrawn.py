"""A person's drawing and a site's own needles, from the browser's requests to the plan that is made with them."""

from __future__ import annotations

import gzip
import json
import os
import sys
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from cases import write_phantom
from web_jobs import add_scan, open_world, run_next
from web_record import open_web_record

from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.bootstrap import make_plan_ports
from hepatica.entrypoints.web.scan_routes import ScanHome
from hepatica.entrypoints.web.services import WebServices
from hepatica.record.job import JobState
from hepatica.record.people import Role
from hepatica.workflows.lay_out_plan import lay_out_stored_plan
from hepatica.workflows.reopen_plan import reopen_plan

pytestmark = pytest.mark.xdist_group("web-redrawn")
LESION = 9
"""Value of the lesion in the phantom's map of labels."""
OWN = "ours, 20 G, 150 mm, side holes"
SHIPPED = "generic 22 G, 150 mm, end hole"
TABLE = f"""
[ours]
name = "{OWN}"
gauge = 20
outer_diameter_mm = 0.908
length_mm = 150.0
hub_allowance_mm = 20.0
dead_space_ml = 0.1
holes = "multi-side"
hole_offsets_mm = [2.0, 6.0, 10.0]
source = "measured on ours"
status = "unverified"
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """The phantom in the record of a site with a needle of its own, planned with the default."""
    folder = tmp_path_factory.mktemp("redrawn")
    case = write_phantom(folder / "case")
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    web = open_web_record(folder, services=WebServices(uploads=IncomingFolder(folder / "uploads")))
    web.app.state.scan_home = ScanHome(home=web.home.folder)
    (web.home.folder / "needles.toml").write_text(TABLE)
    web.add_patient()
    add_scan(web, "ct", case["ct"].read_bytes())
    add_scan(web, "labels", case["labels"].read_bytes(), modality="SEG")
    doctor = web.enter("ida", Role.INVESTIGATOR)
    rows = case["names"].read_text().splitlines()[1:]
    labels = [{"scan_id": "labels", "names_by_value": dict(row.split(",", 1) for row in rows)}]
    request = {"scan_id": "ct", "visit": 1, "protocol": "tvec-label", "labels": labels}
    world = open_world(web)

    def plan(**more):
        body = {"kind": "plan", "patient_id": "p1", "request": {**request, **more}}
        asked = doctor.post("/api/job", json=body)
        assert asked.status_code == 202, asked.text
        state, job = run_next(web, world)
        assert state is JobState.DONE, job.result
        plan_id = job.result["plan_id"]
        return plan_id, doctor.get(f"/api/files/plan/{plan_id}/plan.json").json()

    first, document = plan()
    yield SimpleNamespace(
        web=web,
        doctor=doctor,
        case=case,
        plan=plan,
        labels=labels,
        world=world,
        first=first,
        document=document,
    )
    web.home.close()


def draw(room, mask, name, **over):
    """Send a drawing as the page does; returns the answer."""
    image = nibabel.load(room.case["labels"])
    drawing = nibabel.Nifti1Image(mask.astype(np.uint8), image.affine).to_bytes()
    words = {"names": json.dumps({"1": name}), "title": "drawn by Ida", **over}
    return room.doctor.post(
        "/api/scan/ct/labels/upload", params=words, content=gzip.compress(drawing),
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip


def count_liver(room, plan_id):
    """Voxels of liver and lesions on the map that a viewer is shown."""
    scene = room.doctor.get(f"/api/plan/{plan_id}/scene").json()
    wanted = [row["value"] for row in scene["labels"] if row["kind"] in ("liver", "lesion")]
    content = room.doctor.get(scene["volumes"]["labels"]["address"]).content
    painted = np.asarray(nibabel.Nifti1Image.from_bytes(gzip.decompress(content)).dataobj)
    return int(np.isin(painted, wanted).sum())


def find_lesion(room):
    return np.asarray(nibabel.load(room.case["labels"]).dataobj) == LESION


def shrink(mask, times=2):
    from scipy.ndimage import binary_erosion

    return binary_erosion(mask, iterations=times)


@pytest.mark.requirement("G-plan-redraw")
def test_a_lesion_drawn_smaller_is_measured_smaller_by_the_next_plan_and_the_old_one_stays_in_the_record(
    room,
):
    smaller = shrink(find_lesion(room))
    answer = draw(room, smaller, "lesion", plan_id=room.first, lesion_id="L1")
    assert answer.status_code == 201, answer.text
    drawn = answer.json()
    assert drawn["values"]["redraws"]["lesion_id"] == "L1"
    more = {"scan_id": drawn["item_id"], "names_by_value": {"1": "lesion"}}
    # Whatever the order in which a page lists them.
    plan_id, document = room.plan(labels=[more, *room.labels])
    (before,), (after,) = room.document["lesions"], document["lesions"]
    voxel_ml = float(np.prod(nibabel.load(room.case["labels"]).header.get_zooms())) / 1000
    assert after["volume_ml"] == pytest.approx(smaller.sum() * voxel_ml, rel=1e-6)
    assert after["volume_ml"] < 0.7 * before["volume_ml"]
    assert after["longest_diameter_mm"] < before["longest_diameter_mm"]
    assert "labels.redrawn" in [finding["rule"] for finding in document["findings"]]
    # The liver has no hole where the lesion was, and a later visit sees which labels it was made from.
    assert count_liver(room, plan_id) == count_liver(room, room.first)
    request = room.doctor.get(f"/api/plan/{plan_id}").json()["values"]["request"]
    assert [label["scan_id"] for label in request["labels"]] == [drawn["item_id"], "labels"]
    assert room.doctor.get("/api/scan/labels").status_code == 200
    item = room.doctor.get(f"/api/plan/{plan_id}").json()
    assert item["values"]["files"]["needles.toml"]


@pytest.mark.requirement("G-plan-redraw")
def test_a_plan_with_a_drawing_is_opened_again_from_what_the_record_keeps(room, tmp_path):
    drawn = draw(room, shrink(find_lesion(room)), "lesion", plan_id=room.first, lesion_id="L1").json()
    plan_id, document = room.plan(
        labels=[*room.labels, {"scan_id": drawn["item_id"], "names_by_value": {"1": "lesion"}}]
    )
    (room.web.home.folder / "needles.toml").write_text(TABLE.replace("150 mm", "170 mm"))
    try:
        with room.web.context.store.reading() as reader:
            item = reader.find_item("plan", plan_id)
        laid = lay_out_stored_plan(room.web.context, item, tmp_path / "plan")
        opened = reopen_plan(laid, ports=make_plan_ports())
    finally:
        (room.web.home.folder / "needles.toml").write_text(TABLE)
    assert [one.volume_ml for one in opened.prepared.lesions] == pytest.approx(
        [one["volume_ml"] for one in document["lesions"]]
    )
    assert [needle.name for needle in opened.case.needles] == [OWN]


@pytest.mark.requirement("G-plan-redraw")
def test_a_drawing_over_another_scans_plan_or_of_a_lesion_that_is_not_there_is_refused(room):
    mask = find_lesion(room)
    answer = draw(room, mask, "lesion", plan_id=room.first, lesion_id="L7")
    assert answer.status_code == 404, answer.text
    add_scan(room.web, "other", room.case["ct"].read_bytes())
    words = {"names": '{"1": "lesion"}', "title": "x", "plan_id": room.first, "lesion_id": "L1"}
    other = room.doctor.post("/api/scan/other/labels/upload", params=words, content=b"x")
    assert other.status_code == 409, other.text
    assert draw(room, mask, "lesion", plan_id="nothing", lesion_id="L1").status_code == 404


@pytest.mark.requirement("G-plan-needle")
def test_the_choices_are_the_sites_needles_first_and_then_the_shipped_ones(room):
    choices = room.doctor.get("/api/plan-choices").json()
    assert (choices["needles"][0]["name"], choices["needles"][0]["table"]) == (OWN, "site")
    assert choices["needles"][0]["holes_known"] and choices["default_needle"] == OWN
    shipped = [one for one in choices["needles"] if one["table"] == "shipped"]
    assert SHIPPED in [one["name"] for one in shipped]
    sided = [one for one in shipped if one["holes"] == "multi-side"]
    assert sided and not any(one["holes_known"] for one in sided)


@pytest.mark.requirement("G-plan-needle")
def test_a_plan_is_made_with_the_sites_needle_unless_a_shipped_one_is_named(room):
    assert {one["needle"]["name"] for one in room.document["punctures"]} == {OWN}
    plan_id, document = room.plan(needle=SHIPPED)
    assert all(one["needle"]["name"].startswith("generic 22 G") for one in document["punctures"])
    files = room.doctor.get(f"/api/plan/{plan_id}").json()["values"]["files"]
    assert "needles.toml" not in files


@pytest.mark.requirement("G-plan-needle")
@pytest.mark.parametrize("needle", ["../../etc/passwd", "/etc/needles.toml", "a\\b", "a\x00b", "x" * 300])
def test_no_request_names_a_path_of_a_table(room, needle):
    body = {"scan_id": "ct", "visit": 1, "protocol": "tvec-label", "labels": room.labels}
    for field in ({"needle": needle}, {"needles": needle}):
        answer = room.doctor.post(
            "/api/job", json={"kind": "plan", "patient_id": "p1", "request": {**body, **field}}
        )
        assert answer.status_code == 422 and needle not in answer.text


@pytest.mark.requirement("G-plan-needle")
def test_the_spread_of_a_plan_is_simulated_with_the_holes_of_the_sites_needle(room):
    body = {"kind": "spread", "patient_id": "p1", "request": {"plan_id": room.first, "draws": 1, "rate_ml_per_min": 1.0}}  # fmt: skip
    asked = room.doctor.post("/api/job", json=body)
    assert asked.status_code == 202, asked.text
    state, job = run_next(room.web, room.world)
    assert state is JobState.DONE, job.result
    spread = room.doctor.get(f"/api/files/spread/{job.result['spread_id']}/spread.json").json()
    text = json.dumps(spread)
    assert "side holes of" not in text, "the places of its holes are known"
    holes = [lesion for lesion in spread["lesions"] if lesion.get("holes") or lesion.get("flow_per_hole")]
    assert holes or "hole" in text


@pytest.mark.requirement("G-plan-needle")
def test_a_broken_table_is_told_without_its_place_on_the_disk(room):
    table = room.web.home.folder / "needles.toml"
    table.write_text("[a]\nname = 1\n")
    try:
        answer = room.doctor.get("/api/plan-choices")
    finally:
        table.write_text(TABLE)
    assert answer.status_code == 422 and str(table.parent) not in answer.text and "needles" in answer.text
    assert room.doctor.get("/api/plan-choices").status_code == 200
