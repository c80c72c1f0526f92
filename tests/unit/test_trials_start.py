"""What the shell commands of a trial load before they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

import hepatica
from hepatica.entrypoints.cli.main import _narrow, app
from hepatica.entrypoints.cli.quick_command import QuickCommand

WAIT_S = 60
HEAVY = ("pydantic", "numba", "scipy", "pandas", "matplotlib", "rich")
COMMANDS = [
    ("next-dose boin --doses 5 --target 0.3 --outcomes 1NNN", (*HEAVY, "numpy")),
    ("table boin --target 0.3 --max-n 30", (*HEAVY, "numpy")),
    ("interval --x 2 --n 24", (*HEAVY, "numpy")),
    ("phase2 simon --p0 .1 --p1 .3", HEAVY),
]


@pytest.mark.requirement("E-start-time")
@pytest.mark.parametrize(("words", "heavy"), COMMANDS)
def test_quick_answers_load_no_heavy_library(words, heavy):
    done = subprocess.run(
        [
            sys.executable,
            "-X",
            "importtime",
            "-m",
            "hepatica.entrypoints.cli.main",
            "trial",
            *words.split(),
            "--json",
        ],
        capture_output=True,
        text=True,
        timeout=WAIT_S,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(hepatica.__file__).parents[1])},  # the code under test
    )
    assert json.loads(done.stdout)
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in done.stderr.splitlines()}
    assert "hepatica" in loaded
    assert loaded.isdisjoint(heavy)


small = typer.Typer()


@small.command(cls=QuickCommand)
def show(
    n: Annotated[int, typer.Option("--n", min=1, max=9)],
    p: Annotated[float, typer.Option("--p")] = 0.5,
    name: Annotated[str, typer.Option("--name")] = "x",
    many: Annotated[list[str] | None, typer.Option("--many")] = None,
    kind: Annotated[bool, typer.Option("--flag")] = False,
) -> None:
    typer.echo(repr((n, p, name, many or [], kind)))


@pytest.mark.requirement("E-start-time")
def test_quick_options_are_read_and_refused_as_by_the_parser():
    run = CliRunner().invoke
    words = ["--n", "3", "--p", "1e-2", "--name", "7", "--many", "a", "--many", "b", "--flag"]
    assert run(small, words).stdout.strip() == "(3, 0.01, '7', ['a', 'b'], True)"
    assert run(small, ["--n", "3"]).stdout.strip() == "(3, 0.5, 'x', [], False)"
    for wrong in (["--n", "0"], ["--n", "10"], ["--n", "3.5"], ["--n", "3", "--p", "much"], []):
        assert run(small, wrong).exit_code == 2


@pytest.mark.requirement("E-start-time")
def test_only_the_group_that_is_asked_for_is_built():
    run = CliRunner().invoke
    assert run(_narrow(["trial"]), ["trial", "interval", "--x", "1", "--n", "4", "--json"]).exit_code == 0
    assert len(_narrow(["trial"]).registered_groups) == 1
    for first in ([], ["--help"], ["plan"], ["trials"]):
        assert _narrow(first) is app
