"""A plan with a fan and its spread replays to the same digests; a real scan gives a spread that adds up."""

from __future__ import annotations

import json
import re
from importlib import resources

import pytest
from cases import call_hepatica, plan_arguments, run_hepatica, write_phantom
from phantom import make_phantom

WHOLE = 1e-5
"""Six digits of seven shares."""


@pytest.fixture(scope="module")
def fan(tmp_path_factory):
    """The phantom with 8 mL for its lesion: more than one straight track holds."""
    folder = tmp_path_factory.mktemp("fan")
    case = write_phantom(folder / "case", phantom=make_phantom(spacing_mm=(4.0, 4.0, 5.0)))
    table = resources.files("hepatica.planning.tables").joinpath("protocols", "tvec-label.toml").read_text()
    table = table.replace("ceiling = { value = 4.0", "ceiling = { value = 8.0")
    for volume in ("2.0", "4.0"):
        table = table.replace(
            f'volume = {{ value = {volume}, unit = "ml"', 'volume = { value = 8.0, unit = "ml"'
        )
    protocol = folder / "own8.toml"
    protocol.write_text(table.replace('name = "tvec-label"', 'name = "own8"'))
    arguments = plan_arguments(
        case, folder / "plan", "--spread", "--spread-draws", 2, "--rate", 0.5, "--workers", 1, "--json"
    )
    arguments[arguments.index("tvec-label")] = protocol
    run = call_hepatica(*arguments)
    assert run.status == 0, run.err
    return folder / "plan", run.document


def count_pages(folder) -> int:
    return len(re.findall(rb"/MediaBox", (folder / "sheet.pdf").read_bytes()))


@pytest.mark.requirement("A-sheet-one-page")
def test_the_sheet_of_a_fan_with_its_spread_is_one_page(fan):
    assert count_pages(fan[0]) == 1


@pytest.mark.requirement("B-fan-replay")
def test_a_plan_with_a_fan_and_its_spread_replays_to_the_same_digests(fan, tmp_path):
    folder, document = fan
    (puncture,) = document["punctures"]
    assert puncture["pivot_lps_mm"] is not None and len(puncture["tracks"]) > 1
    run = run_hepatica("replay", folder, "--out", tmp_path / "again", "--workers", 2, "--json")
    assert run.status == 0, run.err
    outputs = json.loads((folder / "manifest.json").read_text())["outputs"]
    assert "spread.json" in outputs and run.document["equal_outputs"] == len(outputs)


@pytest.mark.requirement("C-PLAN-PATTERNS")
def test_the_fan_of_a_plan_is_ranked_as_a_fan(fan):
    (entry,) = fan[1]["patterns"]
    (own,) = [row for row in entry["ranking"] if row["planned"]]
    assert own["layout"] == "fan"
    stops = sum(len(track["deposits"]) for track in fan[1]["punctures"][0]["tracks"])
    assert own["deposits"] == stops


@pytest.mark.requirement("C-REAL")
@pytest.mark.real_data("3d-ircadb-01-17")
def test_the_spread_in_a_real_scan_adds_up_and_names_what_it_leans_on(real_data, tmp_path):
    source = real_data / "3d-ircadb-01-17"
    arguments = ["plan", source / "PATIENT_DICOM.zip"]
    for name in (
        "liver",
        "livertumor1",
        "livertumor2",
        "portalvein",
        "venoussystem",
        "artery",
        "bone",
        "skin",
    ):
        arguments += ["--labels", source / f"MASK_{name}.zip"]
    protocol = tmp_path / "two-lesions.toml"
    protocol.write_text(
        'extends = "h101-liver"\nname = "two-lesions"\ntitle = "A fixed amount for each lesion, so that both are planned"\n'
    )
    spread = ("--spread", "--spread-draws", 3, "--rate", 0.5, "--workers", 1)
    run = run_hepatica(
        *arguments, "--protocol", protocol, "--visit", 1, *spread, "--out", tmp_path / "plan", "--json"
    )
    assert run.status == 0, run.err
    assert count_pages(tmp_path / "plan") == len(run.document["punctures"]) == 2
    document = json.loads((tmp_path / "plan" / "spread.json").read_text())
    assert [lesion["lesion_id"] for lesion in document["lesions"]] == ["L1", "L2"]
    assert document["unverified_inputs"]
    for lesion in document["lesions"]:
        prediction = lesion["prediction"]
        if "not_evaluable" in prediction:
            assert any(finding["rule"] == "spread.not_applicable" for finding in lesion["findings"])
            continue
        assert prediction["draws"] + sum(prediction["draws_without_answer"].values()) == 3
        assert prediction["largest_imbalance_fraction"] < 1e-9
        for band in prediction["retained_fraction"].values():
            assert -WHOLE <= band["p5"] <= band["p50"] <= band["p95"] <= 1 + WHOLE
    for entry in run.document["patterns"]:
        assert isinstance(entry["ranking"], dict) or sum(row["planned"] for row in entry["ranking"]) == 1
