"""Small files that somebody damaged, edited by hand or gave twice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from dicomout_series import make_small_context

from hepatica.adapters.files.names_table import read_names_table
from hepatica.bootstrap import make_plan_ports
from hepatica.core.errors import (
    FactsError,
    InputError,
    OutputExistsError,
    ProtocolError,
    SourceFormatError,
)
from hepatica.core.provenance import Manifest
from hepatica.planning.dose.document import parse_document
from hepatica.workflows.documents import to_object
from hepatica.workflows.plan_document import to_plan_document
from hepatica.workflows.plan_injection import plan_injection
from hepatica.workflows.prior_plan import from_plan_document
from hepatica.workflows.read_priors import read_priors
from hepatica.workflows.replay_plan import replay_plan
from hepatica.workflows.request import LabelInput, PlanRequest

REQUEST = PlanRequest(
    image=Path("ct.nii.gz"), labels=(LabelInput(path=Path("labels.nii.gz")),), protocol="tvec-label", visit=1
)


@pytest.fixture
def document():
    context = make_small_context()
    written = to_plan_document(
        context.plan, manifest=context.manifest, anatomy=context.anatomy, image_facts=context.image.facts
    )
    return json.loads(json.dumps(written))


def _write_manifest(folder: Path, change) -> Path:
    folder.mkdir()
    manifest = Manifest(
        command="plan", run_time=np.datetime64("2026-01-02T03:04:05").item(), code_version="0",
        inputs={}, sources=REQUEST.sources, parameters=REQUEST.parameters, tables={},
    ).to_dict()  # fmt: skip
    manifest["run_time"] += "+00:00"
    change(manifest)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.mark.parametrize("text", ['{"ecog": 0, "ecog": 4}', '{"labs": {"inr": {"value": 1, "value": 9}}}'])
def test_a_key_given_twice_is_refused_because_no_one_knows_which_value_counts(text):
    with pytest.raises(FactsError, match="twice"):
        to_object(text.encode(), where="facts.json", error=FactsError)


def test_a_toml_file_nested_beyond_reason_is_refused():
    with pytest.raises(ProtocolError):
        parse_document(b"a = " + b"[" * 5000 + b"]" * 5000, where="deep.toml")


def test_a_names_table_with_an_endless_cell_is_refused(tmp_path):
    table = tmp_path / "names.csv"
    table.write_text("value,name\n1,liver\n9," + "x" * 200_000 + "\n")
    with pytest.raises(SourceFormatError):
        read_names_table(table)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["parameters"].update(absent=[{}]),
        lambda m: m["parameters"].update(absent="heart"),
        lambda m: m["parameters"].update(tumour_type=5),
        lambda m: m["parameters"].update(series=3),
        lambda m: m["parameters"].update(visit="NaN"),
        lambda m: m["sources"].update({"names[0]": 7}),
        lambda m: m.update(sources=[]),
    ],
)
def test_an_edited_manifest_with_another_type_is_refused_before_anything_runs(tmp_path, change):
    folder = _write_manifest(tmp_path / "plan", change)
    manifest = json.loads((folder / "manifest.json").read_text())
    with pytest.raises(SourceFormatError):
        PlanRequest.from_manifest(manifest, where="plan")


@pytest.mark.parametrize("place", ["plan", "plan/again", "."])
def test_a_replay_never_replaces_the_plan_it_is_compared_with(tmp_path, place):
    folder = _write_manifest(tmp_path / "plan", lambda manifest: None)
    before = (folder / "manifest.json").read_bytes()
    with pytest.raises(OutputExistsError):
        replay_plan(folder, ports=make_plan_ports(), out=tmp_path / place, overwrite=True)
    assert (folder / "manifest.json").read_bytes() == before


@pytest.mark.parametrize("place", ["ct", "ct/plan", "labels.nii.gz", "."])
def test_a_result_never_replaces_an_input_or_becomes_part_of_one(tmp_path, place):
    (tmp_path / "ct").mkdir()
    (tmp_path / "ct" / "manifest.json").write_text('{"outputs": {}, "run_id": "", "run_time": ""}')
    (tmp_path / "labels.nii.gz").write_bytes(b"x")
    request = PlanRequest(
        image=tmp_path / "ct",
        labels=(LabelInput(path=tmp_path / "labels.nii.gz"),),
        protocol="tvec-label",
        visit=1,
    )
    with pytest.raises(OutputExistsError, match="input"):
        plan_injection(request, ports=make_plan_ports(), out=tmp_path / place, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ct", "labels.nii.gz"]
    assert [p.name for p in (tmp_path / "ct").iterdir()] == ["manifest.json"]


def test_one_earlier_plan_given_twice_is_refused_because_its_doses_would_count_twice(tmp_path, document):
    folders = (tmp_path / "a", tmp_path / "b")
    for folder in folders:
        folder.mkdir()
        (folder / "plan.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="twice"):
        read_priors(folders, frame=document["frame_of_reference"], ports=make_plan_ports(), digests={})


def test_an_earlier_plan_whose_lesions_share_a_tracking_uid_is_refused(document):
    second = {**document["lesions"][0], "id": "L2"}
    document["lesions"].append(second)
    with pytest.raises(SourceFormatError, match="tracking UID"):
        from_plan_document(document)


def test_what_an_earlier_plan_could_not_place_does_not_count_as_given(document):
    document["injections"][0]["undelivered_ml"] = 0.5
    planned_ml = document["injections"][0]["volume_ml"]
    assert from_plan_document(document).doses[0].volume_ml == pytest.approx(planned_ml - 0.5)
