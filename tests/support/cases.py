"""Scans and labels on disk, small enough to plan in seconds, for journeys through the command line."""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from phantom import Phantom, ellipsoid, make_phantom

from hepatica.anatomy.structures import StructureKind

LABEL_VALUES = {
    1: StructureKind.LIVER,
    2: StructureKind.LUNG,
    3: StructureKind.BOWEL,
    4: StructureKind.STOMACH,
    5: StructureKind.KIDNEY,
    6: StructureKind.BONE,
    7: StructureKind.PORTAL_VEIN,
    8: StructureKind.AORTA,
    9: StructureKind.LESION,
}


@dataclass(frozen=True)
class Run:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """Standard output as exactly one JSON document."""
        return json.loads(self.out)


def run_hepatica(*arguments: object, timeout_s: float = 300.0) -> Run:
    """Run the command line in its own process."""
    environment = {k: v for k, v in os.environ.items() if k != "HEPATICA_DEBUG"}
    done = subprocess.run(
        [sys.executable, "-m", "hepatica.entrypoints.cli.main", *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout_s, env=environment, check=False,
    )  # fmt: skip
    return Run(status=done.returncode, out=done.stdout, err=done.stderr)


def call_hepatica(*arguments: object) -> Run:
    """Run the command line in this process, from its entry point to its exit status.

    For tests of what a command answers: a new process loads a second of libraries first. What belongs to a process
    (signals, start-up, workers, another's locks) is tested with `run_hepatica`, and so is each command once.
    """
    from hepatica.entrypoints.cli.main import main

    out, err = io.StringIO(), io.StringIO()
    status = 0
    with _own_command_line(arguments), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Run(status=status, out=out.getvalue(), err=err.getvalue())


@contextlib.contextmanager
def _own_command_line(arguments):
    """Arguments of a command, and everything a command sets for its process, as long as it runs."""
    before = sys.argv, os.environ.pop("HEPATICA_DEBUG", None)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    sys.argv = ["hepatica", *map(str, arguments)]
    try:
        yield
    finally:
        sys.argv, debug = before
        if debug is not None:
            os.environ["HEPATICA_DEBUG"] = debug
        for number, handler in handlers.items():
            signal.signal(number, handler)


def to_ras(lps_from_ijk: np.ndarray) -> np.ndarray:
    """Turn an LPS affine into the RAS one NIfTI wants."""
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ lps_from_ijk


def write_phantom(
    folder: Path, *, extra_lesion_lps_mm=None, phantom: Phantom | None = None
) -> dict[str, Path]:
    """Write CT, label map and names table of the phantom; optionally with a second, smaller lesion."""
    phantom = phantom or make_phantom()
    grid = phantom.volume.grid
    labels = np.zeros(grid.shape, np.uint8)
    for value, kind in LABEL_VALUES.items():
        labels[phantom.anatomy.select(kind)] = value
    names = {value: kind.value for value, kind in LABEL_VALUES.items()}
    hu = np.array(phantom.volume.values)
    if extra_lesion_lps_mm is not None:
        second = ellipsoid(grid, extra_lesion_lps_mm, [9.0] * 3)
        labels[second] = 10
        hu[second] = 70
        names[10] = "lesion second"
    folder.mkdir(parents=True, exist_ok=True)
    affine = to_ras(grid.lps_from_ijk)
    nibabel.save(nibabel.Nifti1Image(hu, affine), folder / "ct.nii.gz")
    nibabel.save(nibabel.Nifti1Image(labels, affine), folder / "labels.nii.gz")
    rows = "".join(f"{value},{name}\n" for value, name in names.items())
    (folder / "names.csv").write_text("value,name\n" + rows)
    return {name: folder / file for name, file in
            {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "names": "names.csv"}.items()}  # fmt: skip


def plan_arguments(case: dict[str, Path], out: Path, *more: object) -> list[object]:
    """Arguments of ``hepatica plan`` for a written case."""
    return [
        "plan", case["ct"], "--labels", case["labels"], "--names", case["names"],
        "--protocol", "tvec-label", "--visit", 1, "--out", out, *more,
    ]  # fmt: skip
