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


SEPARATED = "time,event,arm,kind\n310,0,A,0\n410,1,A,1\n210,1,B,1\n110,1,B,1\n60,1,B,1\n"


@pytest.mark.requirement("E-cox")
@pytest.mark.parametrize("options", [("--event", "event"), ("--event", "kind", "--competing")])
def test_where_one_group_outlives_the_other_there_is_no_ratio_and_the_model_says_so(tmp_path, options):
    table = tmp_path / "data.csv"
    table.write_text(SEPARATED)
    found = json.loads(ask(table, "--time", "time", *options, "--group", "arm", "--cox").stdout)
    assert found["cox"]["terms"] == [] and "rises without end" in found["cox"]["not_evaluable"]
    for model in found.get("fine_gray", []):
        assert model["terms"] == [] and "rises without end" in model["not_evaluable"]


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--rmst", "nan"), "tau"),
        (("--rmst", "inf"), "tau"),
        (("--landmark", "nan"), "time of 0 or more"),
        (("--group", "blank"), "group for each patient"),
    ],
)
def test_moments_that_are_no_time_and_patients_without_a_group_are_refused(tmp_path, options, word):
    table = tmp_path / "data.csv"
    table.write_text("time,event,blank\n1,1,A\n2,0, \n3,1,A\n")
    done = ask(table, "--time", "time", "--event", "event", *options)
    assert isinstance(done.exception, (HepaticaError, SystemExit))
    assert word in str(done.exception) + done.output


@pytest.mark.requirement("E-impossible-input")
def test_a_quotation_mark_left_open_is_refused_and_swallows_no_row(tmp_path):
    table = tmp_path / "data.csv"
    table.write_text('time,event,arm\n1,1,A\n2,1,"A\n3,1,B\n4,0,B\n')
    done = ask(table, "--time", "time", "--event", "event", "--group", "arm")
    assert isinstance(done.exception, (HepaticaError, SystemExit))
    assert "CSV file" in str(done.exception) + done.output


def test_times_near_the_largest_number_stay_apart():
    from hepatica.trials.endpoints.times import FollowUp

    assert FollowUp.from_arrays([1e308, 9e307, 1e307], [1, 1, 1]).times.tolist() == [1e307, 9e307, 1e308]
