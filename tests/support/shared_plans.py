"""Plans that several journeys look at: each planned once in a run, by the installed command in its own process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cases import Run, plan_arguments, run_hepatica, write_phantom
from shared_folders import Shared

SECOND_LESION_LPS_MM = (-95.0, -30.0, -10.0)


@dataclass(frozen=True)
class SharedPlan:
    """A written plan, its inputs by name, and what the command printed."""

    folder: Path
    case: dict[str, Path]
    run: Run

    @property
    def document(self):
        """The document on standard output."""
        return self.run.document


def share_two_lesions(shared: Shared) -> SharedPlan:
    """The phantom with two lesions."""

    def build(folder: Path) -> None:
        case = write_phantom(folder / "case", extra_lesion_lps_mm=SECOND_LESION_LPS_MM)
        _keep(folder, run_hepatica(*plan_arguments(case, folder / "plan", "--json")))

    return _open(shared.make("two-lesions", build))


def share_demo(shared: Shared) -> SharedPlan:
    """The demonstration as it is shipped."""

    def build(folder: Path) -> None:
        _keep(folder, run_hepatica("demo", "--out", folder / "plan", "--json"))

    return _open(shared.make("demo", build))


def share_demo_again(shared: Shared) -> SharedPlan:
    """The demonstration, replayed in a process of its own from the folder that it wrote."""
    first = share_demo(shared)

    def build(folder: Path) -> None:
        _keep(folder, run_hepatica("replay", first.folder, "--out", folder / "plan", "--json"))

    return _open(shared.make("demo-again", build))


def _keep(folder: Path, run: Run) -> None:
    assert run.status == 0, run.err
    (folder / "run.json").write_text(json.dumps([run.status, run.out, run.err]))


def _open(folder: Path) -> SharedPlan:
    status, out, err = json.loads((folder / "run.json").read_text())
    files = {"ct": "ct.nii.gz", "labels": "labels.nii.gz", "names": "names.csv"}
    case = {name: folder / "case" / file for name, file in files.items()}
    return SharedPlan(folder=folder / "plan", case=case, run=Run(status=status, out=out, err=err))
