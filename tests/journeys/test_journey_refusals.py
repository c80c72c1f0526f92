"""Bad input: a coded refusal with its four parts, no traceback, nothing half-written."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, run_hepatica, write_phantom
from phantom import make_phantom

from hepatica.entrypoints.cli.exit_status import EXIT_STATUS


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("case"), phantom=make_phantom(spacing_mm=(6.0, 6.0, 8.0)))


def _save(case, tmp_path, name, change):
    image = nibabel.load(case[name])
    data = np.asarray(image.dataobj).astype(np.float32 if name == "ct" else np.uint8)
    changed = change(data, image.affine.copy())
    path = tmp_path / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(*changed), path)
    return {**case, name: path}


def _truncated(case, tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_bytes(case["ct"].read_bytes()[:2000])
    return {**case, "ct": path}


def _wrong_type(case, tmp_path):
    path = tmp_path / "ct.nii.gz"
    path.write_text("this is a letter, not a scan")
    return {**case, "ct": path}


def _missing(case, tmp_path):
    return {**case, "ct": tmp_path / "nothing-here"}


def _empty_labels(case, tmp_path):
    return _save(case, tmp_path, "labels", lambda data, affine: (data * 0, affine))


def _no_lesion(case, tmp_path):
    return _save(case, tmp_path, "labels", lambda data, affine: (np.where(data == 9, 1, data), affine))


def _lesion_outside_liver(case, tmp_path):
    def move(data, affine):
        data = np.where(data == 9, 1, data)
        data[-6:-3, 20:23, 10:13] = 9
        return data, affine

    return _save(case, tmp_path, "labels", move)


def _not_a_number(case, tmp_path):
    def spoil(data, affine):
        data[3, 3, 3] = np.nan
        return data, affine

    return _save(case, tmp_path, "ct", spoil)


def _flat(case, tmp_path):
    return _save(case, tmp_path, "ct", lambda data, affine: (data[:, :, 5], affine))


def _no_geometry(case, tmp_path):
    raw = bytearray(gzip.decompress(case["ct"].read_bytes()))
    raw[252:256] = struct.pack("<hh", 0, 0)  # qform_code and sform_code: nothing is said about space
    path = tmp_path / "ct.nii"
    path.write_bytes(raw)
    return {**case, "ct": path}


def _huge_header(case, tmp_path):
    raw = bytearray(gzip.decompress(case["ct"].read_bytes()))
    raw[40:56] = struct.pack("<8h", 3, 32000, 32000, 32000, 1, 1, 1, 1)
    path = tmp_path / "ct.nii"
    path.write_bytes(raw)
    return {**case, "ct": path}


def _zip_bomb(case, tmp_path):
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for number in range(40):
            archive.writestr(f"slice{number}.dcm", b"\0" * 50_000_000)
    return {**case, "ct": path}


def _climbing_zip(case, tmp_path):
    path = tmp_path / "ct.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../outside.dcm", b"x" * 200)
    return {**case, "ct": path}


def _scaled(case, tmp_path, factor):
    def scale(data, affine):
        affine[:3] *= factor
        return data, affine

    return _save(_save(case, tmp_path, "ct", scale), tmp_path, "labels", scale)


def _in_metres(case, tmp_path):
    return _scaled(case, tmp_path, 0.001)


def _in_centimetres(case, tmp_path):
    return _scaled(case, tmp_path, 0.1)


def _ten_times_too_large(case, tmp_path):
    return _scaled(case, tmp_path, 10.0)


def _labels_elsewhere(case, tmp_path):
    def move(data, affine):
        affine[:3, 3] += 400.0
        return data, affine

    return _save(case, tmp_path, "labels", move)


REFUSALS = {
    "source_format": [_truncated, _wrong_type],
    "not_found": [_missing],
    "empty_label": [_empty_labels, _no_lesion],
    "lesion_outside_liver": [_lesion_outside_liver],
    "non_finite": [_not_a_number],
    "not_a_volume": [_flat],
    "missing_geometry": [_no_geometry],
    "frame_mismatch": [_labels_elsewhere],
    "geometry": [_in_metres, _in_centimetres, _ten_times_too_large],
    "too_large": [_huge_header],
    "unsafe_archive": [_zip_bomb, _climbing_zip],
}


@pytest.mark.requirement("A-bad-input")
@pytest.mark.parametrize(
    ("code", "spoil"), [(code, spoil) for code, spoils in REFUSALS.items() for spoil in spoils], ids=lambda v: getattr(v, "__name__", v)
)  # fmt: skip
def test_unusable_input_ends_with_its_code_and_leaves_nothing(case, tmp_path, code, spoil):
    spoiled = spoil(case, tmp_path)
    run = call_hepatica(*plan_arguments(spoiled, tmp_path / "plan", "--json"))
    assert run.status == EXIT_STATUS[code], run.err + run.out
    error = run.document["error"]
    assert error["code"] == code
    assert error["expected"] and error["given"]
    assert "Traceback" not in run.err
    assert not (tmp_path / "plan").exists()
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


@pytest.mark.requirement("A-bad-input")
@pytest.mark.parametrize(
    ("code", "option", "value"),
    [
        ("not_found", "--protocol", "no-such-protocol"),
        ("not_set", "--protocol", "tvec-liver-escalation"),
        ("not_found", "--protocol", "tvec-label:7"),
        ("input", "--absent", "spleen-and-such"),
        ("input", "--tumour-type", "carrot"),
        ("not_found", "--needle", "knitting"),
        ("not_found", "--names", "no-such-table"),
        ("not_found", "--prior", "no-such-plan"),
        ("not_found", "--patient", "no-such-facts.json"),
    ],
)
def test_options_that_do_not_exist_are_refused(case, tmp_path, code, option, value):
    arguments = plan_arguments(case, tmp_path / "plan")
    if option in arguments:
        arguments[arguments.index(option) + 1] = value
    else:
        arguments += [option, value]
    run = call_hepatica(*arguments)
    assert run.status == EXIT_STATUS[code], run.err
    assert "expected:" in run.err and "Traceback" not in run.err
    assert not (tmp_path / "plan").exists()


@pytest.mark.requirement("A-bad-input")
@pytest.mark.parametrize("text", ["{", "[]", '{"ecog": "seven"}', '{"no_such_field": 1}'])
def test_facts_against_their_schema_are_refused_before_the_scan_is_read(case, tmp_path, text):
    facts = tmp_path / "facts.json"
    facts.write_text(text)
    run = call_hepatica(*plan_arguments(case, tmp_path / "plan", "--patient", facts, "--json"))
    assert run.status == EXIT_STATUS["facts"], run.err
    assert run.document["error"]["code"] == "facts"


def test_an_occupied_output_folder_is_refused(case, tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "thesis.txt").write_text("x")
    run = run_hepatica(*plan_arguments(case, tmp_path / "plan", "--overwrite"))
    assert run.status == EXIT_STATUS["output_exists"], run.err
    assert [p.name for p in (tmp_path / "plan").iterdir()] == ["thesis.txt"]


def test_a_second_label_table_without_a_second_source_is_refused(case, tmp_path):
    run = call_hepatica(*plan_arguments(case, tmp_path / "plan", "--names", case["names"]))
    assert run.status == EXIT_STATUS["input"], run.err


def test_json_lists_protocols_as_one_document():
    run = run_hepatica("protocols", "--json")
    assert run.status == 0
    names = {entry["name"] for entry in json.loads(run.out)["protocols"]}
    assert {"tvec-label", "tvec-liver-escalation", "pv10-liver", "nbtxr3-liver", "jx594-liver"} <= names


@pytest.mark.requirement("A-json-one-document")
def test_wrong_options_with_json_are_one_document_too():
    run = run_hepatica("plan", "--json")
    assert run.status == EXIT_STATUS["usage"] == 2
    assert run.document["error"]["code"] == "usage"
    assert "Missing" in run.err


def test_the_list_of_protocols_says_what_each_still_needs():
    run = call_hepatica("protocols")
    assert run.status == 0
    lines = run.out.splitlines()
    after = {line.split()[0]: lines[k + 1] for k, line in enumerate(lines[:-1]) if not line.startswith(" ")}
    assert "pv10-liver:cohort-1" in after["pv10-liver"]
    assert "rule.bands" in after["tvec-liver-escalation"]
