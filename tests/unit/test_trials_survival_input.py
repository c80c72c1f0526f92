"""Tables that would be read wrongly without a word are refused; what cannot be fitted withholds nothing else."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hepatica.core.errors import HepaticaError
from hepatica.entrypoints.cli.main import app


def ask(path, *options):
    return CliRunner().invoke(app, ["trial", "survival", str(path), *options, "--json"])


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("text", "options", "word"),
    [
        ("time,event\n12,1,1\n14,0\n", ("--event", "event"), "2 cells"),  # 12,1 read as time 12, event 1
        ("time;event\n1;1\n2;0\n", ("--event", "event"), "commas"),
        ("time,CNSR\n1,nan\n2,0\n", ("--censor", "CNSR"), "0 for an event"),
        ("time,CNSR\n1,-1\n2,0\n", ("--censor", "CNSR"), "0 for an event"),
    ],
)
def test_a_table_that_would_be_misread_is_refused(tmp_path, text, options, word):
    table = tmp_path / "data.csv"
    table.write_text(text)
    done = ask(table, "--time", "time", *options)
    assert done.exit_code != 0
    assert isinstance(done.exception, (HepaticaError, SystemExit))
    assert word in str(done.exception) + done.output


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path):
    table = tmp_path / "data.csv"
    table.write_bytes(b"\xef\xbb\xbftime,event\r\n1,1\r\n2,0\r\n\r\n")
    (group,) = json.loads(ask(table, "--time", "time", "--event", "event").stdout)["groups"]
    assert (group["n"], group["events"], group["median"]) == (2, 1, 1.0)


@pytest.mark.requirement("E-cox")
def test_without_events_the_curves_are_given_and_the_model_says_why_not(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text("time,event,arm\n5,0,A\n6,0,B\n")
    done = ask(table, "--time", "time", "--event", "event", "--group", "arm", "--cox")
    found = json.loads(done.stdout)
    assert done.exit_code == 0 and [g["events"] for g in found["groups"]] == [0, 0]
    assert found["cox"]["terms"] == [] and "at least one event" in found["cox"]["not_evaluable"]
