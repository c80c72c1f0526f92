"""What a page needs to show a plan on its scan: volumes by digest, made once, and for nobody who may not see them."""

from __future__ import annotations

import base64
import gzip
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
from cases import write_phantom
from phantom import make_phantom
from web_jobs import add_scan, open_world, run_next
from web_record import open_web_record

import hepatica.entrypoints.web.view_routes as view_routes
from hepatica.adapters.nifti.spread_writer import to_nifti
from hepatica.adapters.nifti.view_volumes import to_view_nifti
from hepatica.adapters.store.derived import DerivedFolder
from hepatica.adapters.store.incoming import IncomingFolder
from hepatica.bootstrap import start_worker
from hepatica.core.geometry import Grid
from hepatica.entrypoints.web.pages import add_pages
from hepatica.entrypoints.web.plan_sessions import PlanSessions
from hepatica.entrypoints.web.scan_routes import ScanHome
from hepatica.entrypoints.web.services import WebServices
from hepatica.record.job import JobState
from hepatica.record.people import Role

pytestmark = pytest.mark.xdist_group("web-views")
HALF_PERCENT = 0.005
"""Shares are written in steps of one percent."""


def load(content: bytes):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(content))


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    """The phantom in the record, planned by its investigator, with a blinded reader of that patient."""
    folder = tmp_path_factory.mktemp("views")
    case = write_phantom(folder / "case")
    os.environ.setdefault("PYTHONPATH", os.pathsep.join(path for path in sys.path if path))
    sessions = PlanSessions(start_worker, {"home": str(folder / "home"), "database": ""})
    web = open_web_record(
        folder, services=WebServices(sessions=sessions, uploads=IncomingFolder(folder / "uploads"))
    )
    web.app.state.scan_home = ScanHome(home=web.home.folder)
    web.add_patient()
    add_scan(web, "ct", case["ct"].read_bytes())
    add_scan(web, "labels", case["labels"].read_bytes(), modality="SEG")
    add_scan(web, "held", b"x", state="identity_differs")
    doctor = web.enter("ida", Role.INVESTIGATOR)
    reader = web.enter("rea", Role.READER_1)
    own = {"role": "reader_1", "criterion": "recist-1.1", "scan_ids": ["ct"], "state": "assigned"}
    own["reader_id"] = reader.get("/api/me").json()["account_id"]
    web.add("read", "read1", own)
    rows = case["names"].read_text().splitlines()[1:]
    request = {
        "scan_id": "ct", "visit": 1, "protocol": "tvec-label",
        "labels": [{"scan_id": "labels", "names_by_value": dict(row.split(",", 1) for row in rows)}],
    }  # fmt: skip
    body = {"kind": "plan", "patient_id": "p1", "request": request}
    assert doctor.post("/api/job", json=body).status_code == 202
    world = open_world(web)
    state, job = run_next(web, world)
    assert state is JobState.DONE, job.result
    plan_id = job.result["plan_id"]
    yield SimpleNamespace(
        web=web, doctor=doctor, reader=reader, plan_id=plan_id, at=f"/api/plan/{plan_id}", case=case,
        derived=DerivedFolder(web.home.folder / "derived"), sessions=sessions,
    )  # fmt: skip
    sessions.stop()
    web.home.close()


@pytest.fixture
def made(monkeypatch):
    """Counts what is made in a process of its own."""
    count = []
    original = view_routes.run_apart

    def run(function, *arguments):
        count.append(arguments[-1])
        return original(function, *arguments)

    monkeypatch.setattr(view_routes, "run_apart", run)
    return count


@pytest.mark.requirement("G-plan-scene")
def test_when_the_plan_is_done_its_volumes_are_ready_and_are_the_scan_and_its_labels(planned, made):
    scene = planned.doctor.get(f"{planned.at}/scene").json()
    assert {name: facts and facts["ready"] for name, facts in scene["volumes"].items()} == {
        "volume": True, "labels": True, "spread": None,
    }  # fmt: skip
    phantom = make_phantom()
    source = nibabel.load(planned.case["ct"])
    volume = load(planned.doctor.get(scene["volumes"]["volume"]["address"]).content)
    labels = load(planned.doctor.get(scene["volumes"]["labels"]["address"]).content)
    assert made == []
    assert volume.get_data_dtype() == np.int16 and labels.get_data_dtype() == np.uint8
    assert labels.header.get_intent()[0] == "label"
    # RAS at the door: what grows toward the patient's left in LPS grows the other way in the file.
    grid = Grid(shape=tuple(scene["grid"]["shape_ijk"]), lps_from_ijk=np.array(scene["grid"]["lps_from_ijk"]))
    assert np.allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ grid.lps_from_ijk, atol=1e-4)
    assert np.allclose(volume.affine, labels.affine) and volume.shape == labels.shape == grid.shape
    assert np.allclose(volume.affine, source.affine, atol=1e-4)
    assert np.array_equal(np.asarray(volume.dataobj), np.asarray(source.dataobj))
    (lesion,) = scene["lesions"]
    painted = np.asarray(labels.dataobj)
    assert np.array_equal(painted == lesion["value"], phantom.lesion.to_full())
    rows = {row["value"]: row for row in scene["labels"]}
    assert set(np.unique(painted)) - {0} <= set(rows)
    liver = next(row for row in scene["labels"] if row["kind"] == "liver")
    assert liver["origin"] == "given" and liver["accepted"] and (painted == liver["value"]).sum() > 1000
    assert rows[lesion["value"]]["role"] == "injected lesion" and lesion["injected"]


@pytest.mark.requirement("G-plan-scene")
def test_the_scene_says_where_in_the_plan_the_rest_stands_and_alternatives_stand_there(planned):
    scene = planned.doctor.get(f"{planned.at}/scene").json()
    plan = planned.doctor.get(f"/api/files/plan/{planned.plan_id}/plan.json").json()
    for words in scene["plan_fields"].values():
        for field in words.split(", "):
            here = [plan]
            for part in field.split("."):
                here = [value[part.removesuffix("[]")] for value in here]
                if part.endswith("[]"):
                    here = [entry for value in here for entry in value]
    (path,) = plan["paths"]
    assert path["best"] == plan["punctures"][0]["id"]
    best = np.array(plan["punctures"][0]["entry_lps_mm"])
    assert path["alternatives"]
    for other in path["alternatives"]:
        assert np.linalg.norm(np.array(other["entry_lps_mm"]) - best) > 5.0 and other["runs"]


@pytest.mark.requirement("G-plan-volumes")
def test_volumes_may_be_kept_by_the_browser_only_under_an_address_that_names_their_bytes(planned):
    address = planned.doctor.get(f"{planned.at}/scene").json()["volumes"]["labels"]["address"]
    kept = planned.doctor.get(address)
    assert kept.headers["cache-control"] == "private, max-age=28800, immutable" and kept.headers["etag"]
    assert kept.headers["vary"] == "cookie" and "sandbox" in kept.headers["content-security-policy"]
    for other in (address.partition("?")[0], address[:-1] + ("0" if address[-1] != "0" else "1")):
        answer = planned.doctor.get(other)
        assert answer.status_code == 200 and answer.headers["cache-control"] == "private, no-cache"
    again = planned.doctor.get(address, headers={"if-none-match": kept.headers["etag"]})
    assert again.status_code == 304 and again.content == b""
    assert planned.doctor.get(f"{planned.at}/scene").headers["cache-control"] == "no-store"


@pytest.mark.requirement("G-plan-volumes")
def test_a_volume_may_be_had_unpacked_with_a_tag_of_its_own(planned):
    address = planned.doctor.get(f"{planned.at}/scene").json()["volumes"]["labels"]["address"]
    packed = planned.doctor.get(address)
    unpacked = planned.doctor.get(f"{address}&form=unpacked")
    assert unpacked.content == gzip.decompress(packed.content)
    assert unpacked.headers["content-encoding"] == "gzip" and "content-encoding" not in packed.headers
    assert unpacked.headers["etag"] != packed.headers["etag"]
    again = planned.doctor.get(
        f"{address}&form=unpacked", headers={"if-none-match": unpacked.headers["etag"]}
    )
    assert again.status_code == 304


@pytest.mark.requirement("G-plan-volumes")
def test_what_was_deleted_or_damaged_is_made_again_once_for_all_who_ask(planned, made):
    address = planned.doctor.get(f"{planned.at}/scene").json()["volumes"]["labels"]["address"]
    before = planned.doctor.get(address)
    for path in planned.derived.root.glob("*.bin"):
        path.unlink()
    assert not planned.doctor.get(f"{planned.at}/scene").json()["volumes"]["labels"]["ready"]
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: planned.doctor.get(address), range(3)))
    assert len(made) == 1
    assert {answer.headers["etag"] for answer in answers} == {before.headers["etag"]}
    assert {answer.content for answer in answers} == {before.content}
    key = address.rpartition("=")[2]
    (path,) = planned.derived.root.glob(f"{key}.*.bin")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert planned.doctor.get(address).content == before.content and len(made) == 2
    history = planned.doctor.get(f"/api/events/plan/{planned.plan_id}").json()["events"]
    assert "derived" not in str(history) and history[0]["action"] == "create", (
        "derived data are not in the trail"
    )


@pytest.mark.requirement("G-plan-volumes")
def test_a_blinded_reader_gets_the_scans_of_his_patients_and_nothing_of_a_plan(planned):
    scan = planned.reader.get("/api/scan/ct/volume.nii.gz")
    assert scan.status_code == 200
    assert scan.content == planned.doctor.get(f"{planned.at}/volume.nii.gz").content
    for path in ("scene", "volume.nii.gz", "labels.nii.gz", "spread.nii.gz", "skin/L1"):
        assert planned.reader.get(f"{planned.at}/{path}").status_code == 403, path
    unassigned = planned.web.enter("rex", Role.READER_2)
    assert unassigned.get("/api/scan/ct/volume.nii.gz").status_code == 404
    elsewhere = planned.web.enter("eva", Role.INVESTIGATOR, sites=["s2"])
    assert elsewhere.get("/api/scan/ct/volume.nii.gz").status_code == 404
    assert elsewhere.get(f"{planned.at}/scene").status_code == 404
    held = planned.doctor.get("/api/scan/held/volume.nii.gz")
    assert (held.status_code, held.json()["code"]) == (409, "conflict")


@pytest.mark.requirement("G-plan-volumes")
def test_predicted_spread_comes_on_the_scans_grid_where_the_plan_has_it(planned):
    plan = planned.doctor.get(f"/api/plan/{planned.plan_id}").json()
    centre = np.array(planned.doctor.get(f"{planned.at}/scene").json()["lesions"][0]["centroid_lps_mm"])
    own = Grid.from_axes(shape=(21, 21, 21), spacing_mm=(1.5, 1.5, 1.5), origin_lps_mm=centre - 15.0)
    i, j, k = np.indices(own.shape)
    # Linear along each axis: interpolation is exact, so the value at any voxel is known.
    share = 0.2 + 0.01 * i + 0.005 * j + 0.01 * k
    kept = planned.web.context.files.keep_bytes(to_nifti(share, grid=own, description="test"))
    values = {**plan["values"], "files": {**plan["values"]["files"], "spread_L1_coverage.nii.gz": kept}}
    planned.web.add("plan", "with-spread", values)
    scene = planned.doctor.get("/api/plan/with-spread/scene").json()
    image = load(planned.doctor.get(scene["volumes"]["spread"]["address"]).content)
    found = np.asarray(image.dataobj)
    grid = Grid(shape=tuple(scene["grid"]["shape_ijk"]), lps_from_ijk=np.array(scene["grid"]["lps_from_ijk"]))
    assert found.shape == grid.shape and found.max() <= 1.0
    inner = np.argwhere(found > 0)
    index = own.to_index(grid.to_lps_mm(inner))
    inside = ((index >= 0) & (index <= 20)).all(axis=1)
    assert inside.sum() > 100
    expected = 0.2 + index[inside] @ [0.01, 0.005, 0.01]
    assert np.abs(found[tuple(inner[inside].T)] - expected).max() <= HALF_PERCENT + 1e-6
    assert planned.doctor.get(f"{planned.at}/spread.nii.gz").status_code == 404


@pytest.mark.requirement("G-plan-skin")
def test_the_map_of_the_skin_is_made_by_the_plans_session_once_and_ranks_the_plans_own_entry(planned):
    (facts,) = planned.doctor.get(f"{planned.at}/scene").json()["skin_maps"]
    assert not facts["ready"]
    answer = planned.doctor.get(facts["address"])
    assert answer.status_code == 200, answer.text
    document = answer.json()
    planned.sessions.stop()
    assert planned.doctor.get(facts["address"]).content == answer.content
    unpack = lambda name, kind: np.frombuffer(base64.b64decode(document[name]), kind)  # noqa: E731
    points = np.array(document["origin_lps_mm"]) + document["step_mm"] * unpack("points", "<i2").reshape(
        -1, 3
    )
    classes, rank, areas = unpack("classes", "u1"), unpack("rank_cm2", "<f4"), unpack("areas_mm2", "<f4")
    assert len(points) == len(classes) == len(rank) == document["count"] > 1000
    free = classes == 0
    assert (rank[free] >= 0).all() and (rank[~free] == -1).all() and rank[free].min() == 0.0
    assert areas[free].sum() / 100 == pytest.approx(document["skin_cm2"]["free"], rel=1e-4)
    plan = planned.doctor.get(f"/api/files/plan/{planned.plan_id}/plan.json").json()
    near = np.linalg.norm(points - plan["punctures"][0]["entry_lps_mm"], axis=1).argmin()
    assert free[near] and rank[near] <= rank[free].max()
    normals = unpack("normals", "i1").reshape(-1, 3) / 127
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 0.02
    assert planned.doctor.get(f"{planned.at}/skin/L9").status_code == 404


@pytest.mark.requirement("G-plan-pacs")
def test_a_plan_on_a_scan_from_files_has_no_pacs_to_go_to_and_says_so(planned):
    answer = planned.doctor.post(f"{planned.at}/sending")
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")
    assert "came from a PACS" in answer.json()["expected"]
    nurse = planned.web.enter("cora", Role.COORDINATOR)
    assert nurse.post(f"{planned.at}/sending").status_code == 403


@pytest.mark.requirement("G-plan-choose")
def test_a_decision_names_something_of_the_plan_and_is_written_with_its_reason(planned):
    plan = planned.doctor.get(planned.at)
    tag = {"if-match": plan.headers["etag"]}
    good = {
        "chosen_punctures": ["P1b"], "reason": "rib beside P1",
        "dose_changes": [{"lesion_id": "L1", "volume_ml": 1.5, "reason": "vessel"}],
    }  # fmt: skip
    for wrong in (
        {"chosen_punctures": ["P9"]},
        {"chosen_punctures": ["P1", "P1b"]},
        {"dose_changes": [{"lesion_id": "L9", "volume_ml": 1.0, "reason": "x"}]},
        {"accepted_structures": [{"structure": "liver", "accepted_by": "Ida"}]},
    ):
        answer = planned.doctor.patch(planned.at, json={**good, **wrong}, headers=tag)
        assert (answer.status_code, answer.json()["code"]) == (422, "record_input"), wrong
    without = {name: value for name, value in good.items() if name != "reason"}
    assert planned.doctor.patch(planned.at, json=without, headers=tag).status_code == 422
    made = planned.doctor.patch(planned.at, json=good, headers=tag)
    assert made.status_code == 200, made.text
    assert made.json()["values"]["chosen_punctures"] == ["P1b"]
    assert planned.doctor.patch(planned.at, json=good, headers=tag).status_code in (409, 412)
    last = planned.doctor.get(f"/api/events/plan/{planned.plan_id}").json()["events"][-1]
    assert last["reason"] == "rib beside P1"
    nurse = planned.web.enter("nina", Role.COORDINATOR)
    assert nurse.patch(planned.at, json=good, headers=tag).status_code == 403


@pytest.mark.requirement("G-plan-labels")
def test_labels_drawn_on_a_scan_need_a_name_for_every_value_and_no_blinded_reader_sees_them(planned):
    where = "/api/scan/ct/labels/upload"
    drawn = planned.case["labels"].read_bytes()
    post = lambda content, **query: planned.doctor.post(  # noqa: E731
        where, content=content, params=query, headers={"content-type": "application/octet-stream"}
    )
    names = json.dumps({str(value): f"s{value}" for value in range(1, 10)})
    assert post(b"x", names=names, title="t").json()["code"] == "source_format"
    assert post(drawn, names='{"1": "liver"}', title="t").json()["code"] == "record_input"
    assert post(drawn, names="[" * 15_000, title="t").json()["code"] == "record_input"
    assert post(drawn, names=names).json()["code"] == "record_input"
    made = post(drawn, names=names, title="by Ida")
    assert made.status_code == 201, made.text
    item = made.json()
    assert item["values"]["labels_of"] == "ct" and item["values"]["label_names"]["1"] == "s1"
    assert planned.doctor.get(f"/api/files/scan/{item['item_id']}/content").content == drawn
    assert planned.reader.get(f"/api/scan/{item['item_id']}").status_code == 404
    listed = planned.reader.get("/api/scan").json()["items"]
    assert [scan["item_id"] for scan in listed if scan["values"]["modality"] == "SEG"] == []
    told = planned.doctor.get("/api/patient/p1/timeline").json()["rows"]
    assert item["item_id"] in [row["item_id"] for row in told]
    own = planned.reader.get("/api/patient/p1/timeline").json()["rows"]
    assert {row["kind"] for row in own} <= {"scan", "visit", "read"}
    assert item["item_id"] not in [row["item_id"] for row in own]


@pytest.mark.requirement("G-plan-volumes")
def test_the_cache_keeps_to_its_room_and_lets_go_of_what_was_not_asked_for_longest(tmp_path):
    folder = DerivedFolder(tmp_path / "derived", most_bytes=250)
    keys = [letter * 64 for letter in "abc"]
    for number, key in enumerate(keys[:2]):
        folder.keep(key, bytes(100))
        os.utime(folder.find(key)[0], (number, number))
    folder.keep(keys[2], bytes(100))
    assert [folder.holds(key) for key in keys] == [False, True, True]
    assert oct(folder.find(keys[1])[0].stat().st_mode & 0o777) == "0o600"


@pytest.mark.requirement("G-orientation")
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1), (1, -1, -1)])
def test_a_marker_on_the_patients_left_lies_at_negative_x_of_the_volumes_file(flip):
    """RAS: x grows toward the patient's right... to his left it is minus the LPS coordinate, whatever the axes."""
    grid = Grid.from_axes(
        shape=(8, 8, 8), spacing_mm=(1, 1, 1), origin_lps_mm=(3, 5, 7), directions=np.diag(flip)
    )
    marker_lps = grid.to_lps_mm([6, 2, 5])
    values = np.zeros(grid.shape, np.int16)
    values[6, 2, 5] = 1
    image = load(to_view_nifti(values, grid=grid))
    (index,) = np.argwhere(np.asarray(image.dataobj))
    ras = image.affine @ [*index, 1]
    assert np.allclose(ras[:3], marker_lps * [-1, -1, 1])


@pytest.mark.requirement("G-pages-cache")
def test_built_files_named_by_their_digest_are_kept_and_the_page_itself_is_asked_for_again(tmp_path):
    from fastapi import FastAPI
    from starlette.testclient import TestClient

    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("<!doctype html>")
    (tmp_path / "assets" / "app-1a2b.js").write_text("let a = 1")
    (tmp_path / "assets" / "app-1a2b.js.gz").write_bytes(gzip.compress(b"let a = 1"))
    app = FastAPI()
    add_pages(app, tmp_path)
    client = TestClient(app)
    page = client.get("/")
    assert page.headers["cache-control"] == "no-cache"
    script = client.get("/assets/app-1a2b.js", headers={"accept-encoding": "gzip"})
    assert script.text == "let a = 1" and script.headers["content-encoding"] == "gzip"
    assert script.headers["content-type"].startswith("text/javascript")
    assert script.headers["cache-control"] == "public, max-age=31536000, immutable"
    plain = client.get("/assets/app-1a2b.js", headers={"accept-encoding": "gzip;q=0"})
    assert plain.text == "let a = 1" and "content-encoding" not in plain.headers
    missing = client.get("/assets/app-0000.js")
    assert missing.status_code == 404 and "immutable" not in missing.headers.get("cache-control", "")
    assert client.get("/assets/../../etc/passwd").status_code == 404
