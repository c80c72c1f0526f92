"""A SIMULATED follow-up from files to tables: track, let a reader confirm, derive the response."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from cases import call_hepatica, run_hepatica
from tracked_pairs import make_pair

from hepatica.bootstrap import read_schema
from hepatica.core.errors import InputError
from hepatica.workflows.track_documents import read_decisions

SEED = 1


def write_pair(folder: Path, pair) -> list[str]:
    import nibabel

    for side in ("baseline", "followup"):
        volume, liver = getattr(pair, side), getattr(pair, f"{side}_liver")
        labels = liver.to_full().astype(np.uint8)
        for number, (_, mask) in enumerate(getattr(pair, f"{side}_lesions"), start=2):
            labels[mask.to_full()] = number
        ras_from_ijk = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.grid.lps_from_ijk
        for name, values in ((f"simulated-{side}", volume.values), (f"simulated-{side}-labels", labels)):
            image = nibabel.Nifti1Image(np.asarray(values), ras_from_ijk)
            image.header.set_xyzt_units("mm")
            image.header["descrip"] = b"simulated"
            nibabel.save(image, folder / f"{name}.nii.gz")
    names = "".join(f"{number},lesion {number - 1}\n" for number in range(2, 12))
    (folder / "names.csv").write_text("value,name\n1,liver\n" + names)
    return [
        "track", str(folder / "simulated-baseline.nii.gz"), str(folder / "simulated-followup.nii.gz"),
        "--baseline-labels", str(folder / "simulated-baseline-labels.nii.gz"),
        "--followup-labels", str(folder / "simulated-followup-labels.nii.gz"),
        "--names", str(folder / "names.csv"), "--simulated", "--same-phase", "--json",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    pair = make_pair(SEED)
    arguments = write_pair(folder, pair)
    done = run_hepatica(*arguments, "--out", folder / "track")
    assert done.status == 0, done.err
    return folder, pair, arguments, done.document


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.requirement("D-track-command")
def test_the_document_follows_its_schema_and_says_simulated(case):
    folder, pair, _, document = case
    jsonschema.validate(document, json.loads(read_schema("track")))
    assert document["simulated"].startswith("SIMULATED")
    assert {row["simulated"] for row in read_rows(folder / "track" / "matches.csv")} == {"SIMULATED"}
    assert "SIMULATED" in (folder / "track" / "track.html").read_text()
    kinds = sorted(link["kind"] for link in document["links"])
    assert kinds == sorted(link.kind.value for link in pair.links)
    assert document["status"] == "proposed"


@pytest.mark.requirement("D-track-manifest")
def test_the_manifest_names_every_file_with_its_digest(case):
    import hashlib

    folder = case[0] / "track"
    outputs = json.loads((folder / "manifest.json").read_text())["outputs"]
    assert set(outputs) == {path.name for path in folder.iterdir()} - {"manifest.json"}
    for name, digest in outputs.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest


@pytest.mark.requirement("D-track-confirm")
def test_a_reader_confirms_and_uids_stay_and_the_response_is_derived_from_the_tables(case):
    folder, _, arguments, proposed = case
    decisions = json.loads((folder / "track" / "proposals.json").read_text())
    decisions["reason"] = "seen on both scans"
    for entry in decisions["decisions"]:
        entry["decision"] = "accept"
    (folder / "decided.json").write_text(json.dumps(decisions))
    done = call_hepatica(
        *arguments,
        "--out",
        str(folder / "confirmed"),
        "--confirm",
        str(folder / "decided.json"),
        "--reader",
        "Reader A",
    )
    assert done.status == 0, done.err
    confirmed = done.document
    assert confirmed["status"] == "confirmed"
    assert {(link["reader"], link["reason"]) for link in confirmed["links"]} == {
        ("Reader A", "seen on both scans")
    }
    for side in ("baseline", "followup"):
        before = {one["id"]: one["tracking_uid"] for one in proposed[side]["lesions"]}
        assert before == {one["id"]: one["tracking_uid"] for one in confirmed[side]["lesions"]}
    out = folder / "response"
    tables = folder / "confirmed"
    done = call_hepatica(
        "response", "derive", "--tu", str(tables / "tu.csv"), "--tr", str(tables / "tr.csv"),
        "--criteria", "recist-1.1", "--out", str(out),
    )  # fmt: skip
    assert done.status == 0, done.err
    assert {row["RSTESTCD"] for row in read_rows(out / "rs.csv")} >= {"TRGRESP", "OVRLRESP"}


@pytest.mark.requirement("D-track-confirm")
def test_decisions_on_other_proposals_are_refused(case):
    raw = (case[0] / "track" / "proposals.json").read_bytes()
    with pytest.raises(InputError, match="these proposals"):
        read_decisions(raw, digest="0" * 64, reader="Reader A")
    assert read_decisions(raw, digest=json.loads(raw)["proposals_digest"], reader="Reader A") == (
        (),
        "Reader A",
    )


@pytest.mark.requirement("D-track-chain")
def test_the_next_visit_goes_on_with_names_and_uids_and_writes_no_second_baseline(case):
    folder, _, _, first = case
    scan, labels = (str(folder / f"simulated-followup{end}.nii.gz") for end in ("", "-labels"))
    done = call_hepatica(
        "track", scan, scan, "--baseline-labels", labels, "--followup-labels", labels, "--names",
        str(folder / "names.csv"), "--baseline-plan", str(folder / "track"), "--visit-number", "3",
        "--simulated", "--json", "--out", str(folder / "third"),
    )  # fmt: skip
    assert done.status == 0, done.err
    third = done.document
    names = {one["id"]: (one["name"], one["tracking_uid"]) for one in first["followup"]["lesions"]}
    assert {one["id"]: (one["name"], one["tracking_uid"]) for one in third["followup"]["lesions"]} == names
    assert read_rows(folder / "third" / "tu.csv") == []
    assert {row["VISITNUM"] for row in read_rows(folder / "third" / "tr.csv")} == {"3"}


@pytest.mark.requirement("D-track-reappearing")
def test_over_three_visits_a_lesion_that_was_gone_comes_back_as_itself(case):
    import nibabel

    folder, *_ = case
    scan, labels = (str(folder / f"simulated-baseline{end}.nii.gz") for end in ("", "-labels"))
    whole = nibabel.load(labels)
    values = np.asarray(whole.dataobj).copy()
    values[values == 3] = 1
    without = str(folder / "simulated-without-labels.nii.gz")
    nibabel.save(nibabel.Nifti1Image(values, whole.affine), without)

    def run(before: str, after: str, name: str, *more: str) -> dict:
        done = call_hepatica(
            "track", scan, scan, "--baseline-labels", before, "--followup-labels", after, "--names",
            str(folder / "names.csv"), "--simulated", "--same-phase", "--subject", "S1", "--json", "--out",
            str(folder / name), *more,
        )  # fmt: skip
        assert done.status == 0, done.err
        found = done.document
        jsonschema.validate(found, json.loads(read_schema("track")))
        return found

    first = run(labels, without, "visit2")
    (gone,) = first["gone"]
    assert [link["kind"] for link in first["links"]].count("vanished") == 1
    earlier = ("--baseline-plan", str(folder / "visit2"))
    again = run(without, labels, "visit3", *earlier, "--visit-number", "3")
    assert again["baseline"]["visit"] == 2 and again["gone"] == []
    (back,) = [link for link in again["links"] if link["kind"] == "reappeared"]
    lesion = next(one for one in again["followup"]["lesions"] if one["id"] == back["followup"][0])
    assert (lesion["name"], lesion["tracking_uid"]) == (gone["name"], gone["tracking_uid"])
    assert back["status"] == "proposed" and back["ambiguous"]
    assert any(f["rule"] == "track.reappeared" for f in again["findings"])
    assert read_rows(folder / "visit3" / "tu.csv") == []
    page = (folder / "visit3" / "track.html").read_text(encoding="utf-8")
    assert "reappeared" in page
    refused = call_hepatica(
        "track", scan, scan, "--baseline-labels", without, "--followup-labels", labels, "--names",
        str(folder / "names.csv"), *earlier, "--out", str(folder / "twice"),
    )  # fmt: skip
    assert refused.status != 0 and "visit number" in refused.err
