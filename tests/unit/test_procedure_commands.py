"""``hepatica procedure``: a day without a record, and a day of the record."""

from __future__ import annotations

import json

import pytest
from procedure_days import SETTINGS, make_day, make_plan_document
from typer.testing import CliRunner

from hepatica.adapters.store.home import make_home
from hepatica.bootstrap import SystemClock
from hepatica.entrypoints.cli.main import app
from hepatica.procedure.document import to_entries_document, to_entry_document
from hepatica.record.item import Item
from hepatica.record.people import make_system_actor
from hepatica.workflows.change_item import create_item
from hepatica.workflows.record_ports import RecordContext
from hepatica.workflows.record_procedure import record_entries, start_procedure

AS_OF = ("--as-of", "2026-03-02T14:00+01:00")


@pytest.fixture
def files(tmp_path):
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text(json.dumps(make_plan_document()))

    def write(entries):
        (tmp_path / "e.json").write_text(json.dumps(to_entries_document(entries, settings=SETTINGS)))
        return [str(tmp_path / "e.json"), "--plan", str(tmp_path / "plan")]

    return write, tmp_path


def run(*arguments):
    return CliRunner().invoke(app, ["procedure", *arguments])


@pytest.mark.requirement("F-procedure-command")
def test_a_day_as_planned_ends_well_and_prints_one_document(files):
    write, _ = files
    done = run("check", *write(make_day()), *AS_OF, "--json")
    document = json.loads(done.stdout)
    assert done.exit_code == 0 and document["phase"] == "closed" and document["findings"] == []
    assert document["totals"] == {"planned_ml": 2.5, "drawn_ml": 2.7, "given_ml": 2.5, "leaked_ml": 0.1}
    shown = run("check", *write(make_day()), *AS_OF).stdout
    assert "P1/1/4" in shown and "0 findings." in shown


@pytest.mark.requirement("F-procedure-command")
def test_an_error_found_ends_with_status_3_and_its_tables_are_written_together(files):
    write, folder = files
    arguments = write([entry for entry in make_day() if entry.entry_id not in ("e34", "e52")])
    out = ("--out", str(folder / "out"))
    assert run("check", *arguments, *out).exception.code == "record_input", "no subject"
    assert not (folder / "out").exists()
    clean = run("check", *arguments, *AS_OF, *out, "--subject", "01", "--study", "T")
    assert clean.exit_code == 0 and "Nobody has said why" in clean.stdout
    assert {path.name for path in (folder / "out").iterdir()} == {
        "day.json", "performed.csv", "injections.csv", "ex.csv", "events.csv", "manifest.json",
    }  # fmt: skip
    bad = write([entry for entry in make_day() if entry.entry_id != "e01"])
    assert run("check", *bad, *AS_OF).exit_code == 3


@pytest.mark.requirement("F-procedure-command")
@pytest.mark.parametrize(
    ("text", "code"),
    [("[]", "record_input"), ("{", "record_input"), ('{"schema_version": "9"}', "record_input")],
)
def test_a_file_that_holds_no_entries_is_refused(files, text, code):
    write, folder = files
    arguments = write([])
    (folder / "e.json").write_text(text)
    assert run("check", *arguments).exception.code == code
    assert (
        run("check", str(folder / "none.json"), "--plan", str(folder / "plan")).exception.code == "not_found"
    )
    assert run("check", *arguments, "--as-of", "noon").exception.code == "usage"


@pytest.mark.requirement("F-procedure-command")
def test_a_day_of_the_record_is_shown(tmp_path):
    home = make_home(tmp_path / "home", mode="research")
    context = RecordContext(
        store=home.store, files=home.files, clock=SystemClock(), actor=make_system_actor()
    )
    digest = home.files.keep_bytes(json.dumps(make_plan_document()).encode())
    values = {"scan_id": "c", "visit_number": 1, "status": "cleared", "files": {"plan.json": digest}}
    with context.store.writing() as writer:
        for kind, item_id, fields in (
            ("patient", "p", {"subject_id": "1", "status": "on_treatment"}),
            ("plan", "q", values),
        ):
            create_item(
                context,
                writer,
                item=Item(kind=kind, item_id=item_id, site_id="s", patient_id="p", version=1, values=fields),
            )
        begun = start_procedure(context, writer, plan_id="q")
        rows = [to_entry_document(entry) for entry in make_day()]
        record_entries(context, writer, procedure_id=begun.item_id, entries=rows)
    home.close()
    shown = run("show", "--home", str(tmp_path / "home"), "--id", begun.item_id, "--json")
    document = json.loads(shown.stdout)
    assert document["phase"] == "closed" and document["totals"]["given_ml"] == 2.5
    assert {finding["rule"] for finding in document["findings"]} == {
        "procedure.protocol_version_not_set", "procedure.beyond_use_not_set",
    }  # fmt: skip
    missing = run("show", "--home", str(tmp_path / "home"), "--id", "none")
    assert missing.exception.code == "not_found"


@pytest.mark.requirement("F-procedure-command")
def test_the_schema_of_entries_is_printed():
    printed = CliRunner().invoke(app, ["schema", "procedure"])
    assert json.loads(printed.stdout)["title"] == "Entries of a procedure day"
