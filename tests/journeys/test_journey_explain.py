"""From a plan on disk to the map of the skin, through the command line."""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
from collections import defaultdict
from dataclasses import replace

import pytest
from cases import call_hepatica, plan_arguments, run_hepatica, write_phantom
from jsonschema import Draft202012Validator
from phantom import make_phantom
from shared_plans import share_two_lesions

from hepatica.anatomy.structures import Origin, StructureKind, StructureSource
from hepatica.bootstrap import read_schema
from hepatica.entrypoints.cli.exit_status import EXIT_STATUS
from hepatica.imaging.mask import Mask

CSV_AREA_TOLERANCE_CM2 = 0.2
"""Areas in the table are rounded to 1e-3 mm2 over some ten thousand points."""


@pytest.fixture(scope="module")
def explained(shared, tmp_path_factory):
    """The phantom with two lesions, planned and explained once."""
    shown = share_two_lesions(shared)
    folder = tmp_path_factory.mktemp("explain")
    shutil.copytree(shown.folder, folder / "plan")
    again = run_hepatica("paths", "explain", folder / "plan", "--out", folder / "why", "--json")
    assert again.status == 0, again.err
    return folder, shown.document, again.document


@pytest.fixture(scope="module")
def closed(tmp_path_factory):
    """The phantom wrapped in bowel: no path to its lesion."""
    folder = tmp_path_factory.mktemp("closed")
    phantom = make_phantom(spacing_mm=(4.0, 4.0, 5.0))
    wall = phantom.anatomy.select(StructureKind.BODY) & ~phantom.anatomy.select(StructureKind.LIVER)
    source = StructureSource(
        kind=StructureKind.BOWEL, origin=Origin.LABELLED, names=("bowel",), source="test"
    )
    anatomy = phantom.anatomy.with_structures([(source, Mask.from_full(wall, grid=phantom.volume.grid))])
    case = write_phantom(folder / "case", phantom=replace(phantom, anatomy=anatomy))
    run = call_hepatica(*plan_arguments(case, folder / "plan", "--json"))
    assert run.status == 0, run.err
    again = call_hepatica("paths", "explain", folder / "plan", "--json")
    assert again.status == 0, again.err
    return folder, run.document, again.document


@pytest.mark.requirement("B-explain-command")
def test_the_explanation_follows_its_published_schema_and_the_manifest_names_every_file(explained):
    folder, plan, document = explained
    Draft202012Validator(json.loads(read_schema("explain"))).validate(document)
    assert document == json.loads((folder / "why" / "explain.json").read_text())
    manifest = json.loads((folder / "why" / "manifest.json").read_text())
    files = {p.name for p in (folder / "why").iterdir()}
    assert files == {*manifest["outputs"], "manifest.json"}
    assert {
        "paths.html",
        "skin-map.csv",
        "skin-map-L1.png",
        "skin-map-L1-body.png",
        "skin-map-L2.png",
    } <= files
    for name, digest in manifest["outputs"].items():
        assert hashlib.sha256((folder / "why" / name).read_bytes()).hexdigest() == digest
    assert document["plan_id"] == plan["plan_id"]
    assert [lesion["lesion_id"] for lesion in document["lesions"]] == ["L1", "L2"]


@pytest.mark.requirement("B-explain-command")
def test_the_paths_of_the_plan_stand_on_open_skin_with_their_score(explained):
    _, plan, document = explained
    entries = {e["id"]: e for lesion in document["lesions"] for e in lesion["entries"]}
    chosen = [*plan["punctures"], *plan["backups"]]
    assert len(chosen) >= 2
    for puncture in chosen:
        assert entries[puncture["id"]]["entry_lps_mm"] == puncture["entry_lps_mm"]
        assert isinstance(entries[puncture["id"]]["better_skin_cm2"], float)
    for lesion in document["lesions"]:
        scores = [e["score"] for e in lesion["entries"]]
        assert lesion["best"]["score"] <= min(scores) + 1e-5


@pytest.mark.requirement("B-skin-map-table")
def test_the_table_of_the_skin_adds_up_to_the_areas_of_the_document(explained):
    folder, _, document = explained
    areas = defaultdict(float)
    with (folder / "why" / "skin-map.csv").open() as stream:
        for row in csv.DictReader(stream):
            areas[row["lesion_id"], row["class"]] += float(row["area_mm2"]) / 100
            assert (row["score"] != "") == (row["class"] == "free")
            assert (row["limit"] != "") == (row["class"] == "blocked")
    for lesion in document["lesions"]:
        for name in ("free", "undecided", "blocked"):
            told = lesion["skin_cm2"][name]
            assert areas[lesion["lesion_id"], name] == pytest.approx(told, abs=CSV_AREA_TOLERANCE_CM2)
        assert sum(lesion["skin_cm2"][n] for n in ("free", "undecided", "blocked")) == pytest.approx(
            lesion["skin_cm2"]["total"], abs=1e-4
        )


@pytest.mark.requirement("B-explain-page")
def test_the_page_asks_the_network_for_nothing_runs_no_script_and_describes_every_picture(explained):
    folder, _, _ = explained
    page = (folder / "why" / "paths.html").read_text()
    assert "<script" not in page and not re.search(r'(?:src|href)="(?!data:|#)', page)
    assert "default-src 'none'" in page and 'lang="en"' in page
    pictures = re.findall(r'<img src="data:image/png;base64,[^"]+" alt="([^"]+)"', page)
    assert len(pictures) == 4 and all("L1" in alt or "L2" in alt for alt in pictures)
    assert "Research use, not a medical device" in page and "unverified" in page
    assert "cm² of skin in the scan are open" in page


@pytest.mark.requirement("B-explain-no-path")
def test_where_no_path_exists_the_explanation_says_what_closes_all_skin(closed):
    folder, plan, document = closed
    assert plan["punctures"] == []
    lesion = document["lesions"][0]
    assert not lesion["reachable"] and lesion["best"] is None and lesion["entries"] == []
    assert lesion["skin_cm2"]["free"] == 0 == lesion["skin_cm2"]["undecided"]
    bowel = {limit["limit"]: limit for limit in lesion["limits"]}["bowel"]
    assert bowel["alone"]["cm2"] > 50
    assert lesion["limits"][0]["limit"] == "bowel"
    # The wall has no gap: no margin helps, only going through it.
    assert bowel["relaxations"] == [] and bowel["through"]["cm2"] == bowel["alone"]["cm2"]
    page = (folder / "plan-paths" / "paths.html").read_text()
    assert "No path: all skin is closed" in page and "Bowel alone closes" in page


@pytest.mark.requirement("B-explain-command")
def test_one_lesion_can_be_asked_for_and_an_unknown_one_is_refused(explained, tmp_path):
    folder, _, _ = explained
    one = call_hepatica("paths", "explain", folder / "plan", "--lesion", "L2", "--out", tmp_path / "one")
    assert one.status == 0, one.err
    assert "L2" in one.out and "L1" not in one.out.split("Open")[0]
    assert [p.name for p in sorted(tmp_path.glob("one/*.png"))] == ["skin-map-L2-body.png", "skin-map-L2.png"]
    wrong = call_hepatica("paths", "explain", folder / "plan", "--lesion", "L9", "--out", tmp_path / "x")
    assert wrong.status == EXIT_STATUS["not_found"] and "L1, L2" in wrong.err
    inside = call_hepatica("paths", "explain", folder / "plan", "--out", folder / "plan" / "why")
    assert inside.status == EXIT_STATUS["output_exists"]
    taken = call_hepatica("paths", "explain", folder / "plan", "--out", folder / "why")
    assert taken.status == EXIT_STATUS["output_exists"]
    assert not (tmp_path / "x").exists() and not (folder / "plan" / "why").exists()


@pytest.mark.requirement("B-explain-command")
def test_a_plan_that_was_changed_is_not_explained(closed, tmp_path):
    folder, _, _ = closed
    copy = tmp_path / "plan"
    copy.mkdir()
    for name in ("manifest.json", "plan.json"):
        (copy / name).write_bytes((folder / "plan" / name).read_bytes())
    (copy / "plan.json").write_text((copy / "plan.json").read_text().replace('"visit": 1', '"visit": 2'))
    run = call_hepatica("paths", "explain", copy, "--out", tmp_path / "why")
    assert run.status == EXIT_STATUS["replay_mismatch"]
    assert not (tmp_path / "why").exists()
