"""A run that is told to stop, and names that look like markup."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import nibabel
import numpy as np
import pytest
from cases import call_hepatica, plan_arguments, write_phantom
from phantom import make_phantom


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    return write_phantom(tmp_path_factory.mktemp("case"), phantom=make_phantom(spacing_mm=(6.0, 6.0, 8.0)))


@pytest.mark.requirement("A-out-atomic")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_run_told_to_stop_leaves_nothing_and_says_so(case, tmp_path, number):
    out = tmp_path / "out" / "plan"
    command = [sys.executable, "-m", "hepatica.entrypoints.cli.main", *plan_arguments(case, out)]
    run = subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs the tests in the background ignores these signals, and children inherit that.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
    )
    assert run.stderr is not None
    # The scene is announced with the stage open and most of the work ahead.
    for line in run.stderr:
        if "scene" in line.lower() or "Measur" in line:
            break
    assert any(out.parent.iterdir()), "the stage is open while the run works"
    run.send_signal(number)
    _, err = run.communicate(timeout=120)
    assert run.returncode == 128 + number
    assert "nothing was written" in err
    assert list(out.parent.iterdir()) == []


@pytest.mark.requirement("A-out-atomic")
def test_ctrl_c_pressed_twice_ends_a_spread_on_several_processes_as_once(case, tmp_path):
    arguments = (*plan_arguments(case, tmp_path / "plan"), "--spread", "--spread-draws", 500, "--rate", 1)
    command = [sys.executable, "-m", "hepatica.entrypoints.cli.main", *arguments, "--workers", 3]
    run = subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL) and None,
    )
    assert run.stderr is not None
    for line in run.stderr:
        if "] spread" in line:
            break
    time.sleep(1.5)
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
    _, err = run.communicate(timeout=60)
    assert run.returncode == 128 + signal.SIGINT
    assert "nothing was written" in err and not (tmp_path / "plan").exists()


def test_brackets_in_a_title_and_in_the_output_folder_are_printed_as_they_are(case, tmp_path):
    protocol = tmp_path / "own.toml"
    protocol.write_text('extends = "tvec-label"\nname = "own"\ntitle = "Site [/x] [b]table"\n')
    out = tmp_path / "plan [b] [" / "x]"
    arguments = plan_arguments(case, out)
    arguments[arguments.index("tvec-label")] = protocol
    run = call_hepatica(*arguments)
    assert run.status == 0, run.err
    printed = run.out.replace("\n", "")
    assert "Site [/x] [b]table" in printed
    assert "plan [b] [/x]/sheet.pdf" in printed


def test_ct_numbers_no_scanner_stores_are_refused(case, tmp_path):
    image = nibabel.load(case["ct"])
    hu = np.asarray(image.dataobj, dtype=np.float32) * np.float32(1e30)
    path = tmp_path / "ct.nii.gz"
    nibabel.save(nibabel.Nifti1Image(hu, image.affine), path)
    run = call_hepatica(*plan_arguments({**case, "ct": path}, tmp_path / "plan"))
    assert run.status == 30
    assert "70000 HU" in run.err
    assert not (tmp_path / "plan").exists()
