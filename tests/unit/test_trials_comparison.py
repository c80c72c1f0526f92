"""Comparing designs for a protocol, and going on after an interruption, at the command line."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from math import sqrt
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import hepatica
from hepatica.adapters.files.checkpoints import open_checkpoint
from hepatica.adapters.reports.comparison import lay_out
from hepatica.core.errors import HepaticaError, OutputError, OutputExistsError, SourceFormatError
from hepatica.core.provenance import digest_bytes
from hepatica.entrypoints.cli.trial import app
from hepatica.workflows.compare_designs import find_target_doses

RUNNER = CliRunner()
STANDARD_ERRORS = 4.0  # the promise: within four standard errors
WAIT_S = 120  # more than any machine needs for one block


def ask(*arguments):
    done = RUNNER.invoke(app, [*arguments, "--json"])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


COMPARE = (
    "compare",
    "boin",
    "tite-boin",
    "3+3",
    "--target",
    "0.3",
    "--truth",
    ".05,.15,.3",
    "--truth",
    ".3,.45,.6",
    "--trials",
    "600",
    "--seed",
    "4",
)


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    out = tmp_path_factory.mktemp("compare") / "out"
    return ask(*COMPARE, "--out", str(out)), out


@pytest.mark.requirement("E-compare-protocol")
def test_a_comparison_is_written_as_page_markdown_pictures_and_json(compared):
    document, out = compared
    assert sorted(path.name for path in out.iterdir()) == sorted(document["files"])
    kept = json.loads((out / "comparison.json").read_text())
    assert kept["scenarios"] == document["scenarios"]
    manifest = json.loads((out / "manifest.json").read_text())
    for name, digest in manifest["outputs"].items():
        assert digest_bytes((out / name).read_bytes()) == digest
    assert len(manifest["parameters"]["jobs"]) == 6
    markdown, page = (out / "comparison.md").read_text(), (out / "comparison.html").read_text()
    for text in (markdown, page):
        for line in (*document["words"], *document["assumptions"], document["notice"]):
            assert line in text
    assert "http" not in page.replace("http-equiv", "")
    for name in ("selection.png", "patients.png"):
        assert Image.open(out / name).size[0] > 1000


@pytest.mark.requirement("E-compare-protocol")
def test_every_figure_of_the_table_is_that_of_the_simulation_with_its_error(compared):
    document, out = compared
    lines = (out / "comparison.md").read_text().splitlines()
    for row in document["scenarios"]:
        for design in row["designs"]:
            cells = [
                f"{100 * p:.1f} ({100 * sqrt(p * (1 - p) / 600):.1f})"
                for p in (*design["selected"], design["selected_none"])
            ]
            assert any(
                f"{design['design']}: selected" in line and all(c in line for c in cells) for line in lines
            )
    first, second = document["scenarios"]
    assert (first["target_doses"], second["target_doses"]) == ([3], [1])
    for design in first["designs"]:
        assert design["correct"] == design["selected"][2]
        assert design["share_above_target_dose"] == 0.0
    assert second["designs"][0]["share_above_target_dose"] > 0.0
    assert document["designs"] == first["designs"]


@pytest.mark.requirement("E-compare-protocol")
def test_designs_of_a_comparison_treat_the_same_patients(compared):
    document, _ = compared
    for row in document["scenarios"]:
        truth = ",".join(map(str, row["truth"]))
        alone = ask("simulate", "boin", "--target", "0.3", "--truth", truth, "--trials", "600", "--seed", "4")
        assert alone["selected"] == row["designs"][0]["selected"]
    slow = ask(
        "compare",
        "boin",
        "tite-boin",
        "--target",
        "0.3",
        "--truth",
        ".05,.15,.3",
        "--trials",
        "600",
        "--gap",
        "1000",
    )
    assert slow["designs"][0]["selected"] == slow["designs"][1]["selected"]


@pytest.mark.requirement("E-compare-protocol")
@pytest.mark.parametrize(
    ("key", "error", "none"), [("selected", "selected_se", True), ("patients", None, False)]
)
def test_no_bar_leaves_its_panel_and_every_bar_has_the_height_of_its_number(compared, key, error, none):
    document, _ = compared
    figure = lay_out(document, key, error, label="x", none=none)
    scale = 100.0 if none else 1.0
    for axes, row in zip(figure.axes, document["scenarios"]):
        low, high = axes.get_ylim()
        heights = [patch.get_height() for patch in axes.patches]
        wanted = [
            scale * v
            for design in row["designs"]
            for v in (*design[key], *([design["selected_none"]] if none else []))
        ]
        assert heights == pytest.approx(wanted)
        assert low == 0.0 and high > max(heights)


@pytest.mark.requirement("E-compare-protocol")
def test_words_say_when_the_simulations_cannot_tell_designs_apart():
    few = ask(
        "compare",
        "boin",
        "mtpi2",
        "--target",
        "0.3",
        "--truth",
        ".05,.15,.3",
        "--trials",
        "50",
        "--seed",
        "4",
    )
    assert any("not told apart" in line for line in few["words"])
    assert find_target_doses((0.2, 0.4), 0.3) == (1, 2)
    assert find_target_doses((0.2, 0.4), None) == ()


@pytest.mark.requirement("E-compare-protocol")
def test_an_earlier_comparison_is_replaced_only_when_asked(compared):
    _, out = compared
    with pytest.raises(OutputExistsError):
        ask(*COMPARE, "--out", str(out))
    assert ask(*COMPARE, "--out", str(out), "--overwrite")["files"]


SIMULATE = (
    "trial",
    "simulate",
    "3+3",
    "--truth",
    ".05,.15,.3,.4",
    "--trials",
    "20480",
    "--seed",
    "5",
    "--json",
)


def start(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "hepatica.entrypoints.cli.main", *SIMULATE, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(hepatica.__file__).parents[1])},  # the code under test
        # A run in the background of a shell is started with interrupts ignored; the command must hear them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for_blocks(process, path, count):
    """Wait until so many blocks are kept; the process may end before."""
    for _ in range(WAIT_S * 100):
        if path.exists() and path.read_bytes().count(b"\n") > count:
            return
        try:
            process.wait(timeout=0.01)
        except subprocess.TimeoutExpired:
            continue
        return


@pytest.mark.requirement("E-resume-shell")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_simulation_goes_on_where_it_stopped(tmp_path, number):
    path = tmp_path / "blocks.jsonl"
    process = start("--resume", str(path))
    wait_for_blocks(process, path, 1)
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert json.loads(stdout)["error"]["code"] == "cancelled"
    before = path.read_bytes().splitlines()
    kept = sum(line.endswith(b"]") for line in before[1:])
    assert 1 <= kept < 5
    again = ask(*SIMULATE[1:-1], "--resume", str(path))
    after = path.read_bytes().splitlines()
    assert after[: kept + 1] == before[: kept + 1]  # nothing done twice
    assert len(after) == 6
    assert again == ask(*SIMULATE[1:-1])


@pytest.mark.requirement("E-resume-shell")
def test_a_file_of_other_work_or_another_kind_is_refused(tmp_path):
    path = tmp_path / "blocks.jsonl"
    command = ("simulate", "boin", "--target", "0.3", "--truth", ".05,.15,.3", "--trials", "100")
    first = ask(*command, "--resume", str(path))
    assert ask(*command, "--resume", str(path)) == first
    with pytest.raises(OutputExistsError, match="very run"):
        ask(*command, "--seed", "9", "--resume", str(path))
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceFormatError):
        ask(*command, "--resume", str(path))
    with pytest.raises(HepaticaError) as caught:
        ask(*command, "--resume", str(tmp_path / "nowhere" / "blocks.jsonl"))
    assert isinstance(caught.value, OutputError)


@pytest.mark.requirement("E-resume-shell")
@pytest.mark.parametrize("torn", [b'[1, {"a"', b'[1, {"a": 2}]', b"\xff\xfe"])
def test_a_line_torn_by_a_power_cut_is_written_again(tmp_path, torn):
    path = tmp_path / "pieces.jsonl"
    with open_checkpoint(path, {"what": "work"}) as (found, keep):
        assert found == {}
        keep(0, {"a": 1})
    whole = path.read_bytes()
    path.write_bytes(whole + torn)
    with open_checkpoint(path, {"what": "work"}) as (found, keep):
        assert found == {0: {"a": 1}}
        keep(1, {"a": 2})
    assert path.read_bytes() == whole + b'[1, {"a": 2}]\n'
