"""Numbers that no trial can have, and rules about doses that it does not have, are refused with their reason."""

from __future__ import annotations

import shlex

import pytest
from typer.testing import CliRunner

from hepatica.core.errors import HepaticaError
from hepatica.entrypoints.cli.main import app

CRM = "next-dose crm --doses 3 --target .25 --skeleton .1,.2,.3 --outcomes 1NNN "
BOIN = "next-dose boin --doses 3 --target .3 --outcomes 1NNN "
BLRM = "next-dose blrm --doses 3 --outcomes 1NNN "


@pytest.mark.requirement("E-impossible-input")
@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("next-dose boin --doses ² --target .3", "dose levels such as 5"),
        (CRM + "--prior-sd 1e300", "at most 50"),
        (CRM + "--model logistic --intercept nan", "finite numbers"),
        (CRM + "--model logistic --intercept 1e308", "intercept"),
        (BLRM + "--dose-amounts 1e300,2e300,4e300 --reference-amount 1e-300", "reference"),
        (BLRM + "--prior-sd 1e300,1", "prior means"),
        (BOIN + "--start-dose inf", "finite numbers"),
        (BOIN + "--start-dose 1.5", "whole number"),
        (BOIN + "--exclusion-certainty nan", "finite numbers"),
        ("next-dose tpi --doses 3 --target .3 --k1 inf", "finite numbers"),
        ("next-dose keyboard --doses 3 --target .3 --epsilon1 1e-9 --epsilon2 1e-9", "0.001 wide"),
        ("table boin --target .3 --max-n 100000", "at most 1000"),
        ("select-mtd boin --n 3,3,inf --x 0,0,1 --target .3", "finite numbers"),
        ("select-mtd boin --n 3,3,1e18 --x 0,0,1 --target .3", "at most 100000"),
        ("simulate tite-boin --target .3 --truth .1,.2 --trials 9 --gap nan", "finite gap"),
        ("simulate tite-boin --target .3 --truth .1,.2 --trials 9 --gap inf", "finite gap"),
        ("simulate boin12 --target .3 --truth .1,.2 --trials 9", "true response probability"),
        ("phase2 simon --p0 .1 --p1 .3 --nmax 100000", "at most 1000"),
        ("phase2 bop2 --p0 .2 --p1 .4 --looks inf", "finite numbers"),
    ],
)
def test_impossible_numbers_are_refused(line, word):
    assert word in refuse(line)


@pytest.mark.requirement("E-rules")
@pytest.mark.parametrize(
    "rule",
    [
        "--stop-too-toxic 9,.3,.9",
        "--stop-n-at-dose 6:9",
        "--demand-n 6:9",
        "--rescue 9,2",
        "--follow-path '1NNN 9NNN'",
    ],
)
def test_a_rule_about_a_dose_the_trial_does_not_have_is_refused(rule):
    assert "dose levels 1 to 3" in refuse(BOIN + rule)


@pytest.mark.requirement("E-tite-boin")
def test_follow_up_that_is_no_number_of_days_is_refused(tmp_path):
    table = tmp_path / "patients.csv"
    table.write_text("dose,dlt,follow_up,window\n1,0,nan,28\n")
    assert "finite follow-up" in refuse(f"next-dose tite-boin --doses 3 --target .3 --patients {table}")


def refuse(line: str) -> str:
    done = CliRunner().invoke(app, ["trial", *shlex.split(line)])
    assert isinstance(done.exception, (HepaticaError, SystemExit))
    text = str(done.exception) + done.output
    return " ".join(text.replace("│", " ").split())
