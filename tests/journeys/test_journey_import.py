"""From a folder on disk into a record and from a PACS, by the installed command."""

from __future__ import annotations

import json

import pytest
from cases import call_hepatica, run_hepatica
from pacs_servers import Shelf, serve_web, write_config
from scan_records import FAMILY, NUMBER, open_test_record, write_scan

from hepatica.entrypoints.cli.exit_status import EXIT_STATUS


@pytest.fixture
def home(tmp_path):
    with open_test_record(tmp_path / "home"):
        pass
    return tmp_path / "home"


@pytest.mark.requirement("F-import-command")
def test_a_folder_is_imported_once_by_command_and_the_record_verifies(home, tmp_path):
    source = write_scan(tmp_path / f"{FAMILY}_scan", names=f"{NUMBER}_{{:03d}}")
    first = run_hepatica("record", "import", source, "--home", home, "--patient", "p", "--json")
    assert first.status == 0, first.err
    (one,) = json.loads(first.out)["series"]
    assert (one["outcome"], one["image_count"], one["state"]) == ("imported", 6, "accepted")
    again = call_hepatica("record", "import", source, "--home", home, "--patient", "p")
    assert again.status == 0 and again.out.startswith("known")
    shown = first.out + first.err + again.out + again.err
    assert FAMILY not in shown and NUMBER not in shown
    verified = run_hepatica("audit", "verify", "--home", home, "--json")
    assert verified.status == 0, verified.out


@pytest.mark.requirement("F-import-command")
def test_a_waiting_scan_a_wrong_patient_and_half_an_option_are_told(home, tmp_path):
    source = write_scan(tmp_path / "scan")
    waiting = call_hepatica("record", "import", source, "--home", home, "--patient", "q")
    assert waiting.status == 0 and "waits for a person: birth date; name; sex" in waiting.out
    nobody = call_hepatica("record", "import", source, "--home", home, "--patient", "nobody", "--json")
    assert nobody.status == EXIT_STATUS["not_found"]
    assert "not_found" in nobody.out and json.loads(nobody.out)
    for half in (["--pacs", "radiology"], [source, "--pacs", "radiology", "--study", "1.2"], []):
        wrong = call_hepatica("record", "import", *half, "--home", home, "--patient", "p")
        assert wrong.status == EXIT_STATUS["usage"]


@pytest.mark.requirement("F-pacs-command")
def test_archives_are_listed_searched_and_fetched_from_by_command_without_names_on_the_screen(home, tmp_path):
    shelf = Shelf()
    shelf.fill(write_scan(tmp_path / "scan"))
    with serve_web(shelf) as url:
        write_config(home, "radiology", protocol="dicomweb", url=url)
        assert call_hepatica("pacs", "list", "--home", home).out.split() == ["radiology"]
        found = run_hepatica("pacs", "find", "radiology", "--home", home, "--patient", "p", "--json")
        assert found.status == 0, found.err
        (study,) = json.loads(found.out)["studies"]
        assert FAMILY not in found.out and NUMBER not in found.out
        taken = call_hepatica(
            "record", "import", "--pacs", "radiology", "--study", study["study_uid"],
            "--home", home, "--patient", "p", "--json",
        )  # fmt: skip
        assert json.loads(taken.out)["series"][0]["image_count"] == 6
        sent = call_hepatica("record", "send", "--home", home, "--plan", "none", "--json")
        assert sent.status == EXIT_STATUS["not_found"]
    away = call_hepatica("pacs", "find", "radiology", "--home", home, "--patient", "p", "--json")
    assert away.status == EXIT_STATUS["pacs"] and url not in away.out + away.err
