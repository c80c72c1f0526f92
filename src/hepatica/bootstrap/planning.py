"""What planning, tracking and spread need from the world."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from functools import cache, partial
from importlib import metadata, resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.bootstrap.clock import SystemClock
from hepatica.bootstrap.reading import _read_files, make_image_reader, make_label_reader, read_names

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from hepatica.planning.spread.member import Draw
    from hepatica.planning.spread.simulate import SpreadOutcome
    from hepatica.planning.spread.verification import VerificationRow
    from hepatica.workflows.explain_ports import ExplanationWriter
    from hepatica.workflows.plan_ports import PlanPorts
    from hepatica.workflows.request import PlanRequest
    from hepatica.workflows.track_request import TrackPorts

NUMERIC_LIBRARIES = ("numpy", "scipy", "numba", "scikit-image", "SimpleITK", "pydicom", "highdicom", "typst")
"""Their versions influence numbers or bytes, so the manifest names them."""


def make_plan_ports(*, workers: int = 1, scheduler: str = "") -> PlanPorts:
    """Join the world to the planning workflow.

    Parameters
    ----------
    workers, scheduler
        Where a simulated spread runs, as for `open_executor`.
    """
    from hepatica.adapters.dicom.plan_writers import make_plan_writers, make_spread_writers
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.adapters.nifti.spread_writer import SpreadVolumeWriter
    from hepatica.adapters.reports.html import HtmlReportWriter
    from hepatica.adapters.reports.markups import MarkupsWriter
    from hepatica.adapters.reports.picture_book import PictureBook
    from hepatica.adapters.reports.sheet import SheetWriter
    from hepatica.adapters.reports.spread_page import SpreadPageWriter
    from hepatica.workflows.plan_ports import PlanPorts

    book = PictureBook()
    return PlanPorts(
        image_reader=make_image_reader(),
        label_reader=make_label_reader(),
        read_bytes=read_small_file,
        read_names=read_names,
        stage_output=stage_output,
        writers=(
            SheetWriter(book),
            HtmlReportWriter(book),
            MarkupsWriter(),
            SpreadVolumeWriter(),
            *make_plan_writers(_read_files),
        ),
        write_document=write_document,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
        libraries={name: metadata.version(name) for name in NUMERIC_LIBRARIES},
        open_executor=partial(open_executor, workers=workers, scheduler=scheduler),
        make_card=make_credibility_card,
        spread_writers=(SpreadPageWriter(), SpreadVolumeWriter(), *make_spread_writers(_read_files)),
    )


def make_credibility_card(
    rows: Sequence[VerificationRow], draws: Sequence[Draw], outcome: SpreadOutcome | None
) -> Any:
    """Return the credibility card of a spread: verification, what its draws agree with, its parameters."""
    from hepatica.planning.spread.anchors import check_anchors
    from hepatica.planning.spread.card import assemble_card

    return assemble_card(verification=rows, anchors=check_anchors(draws), outcome=outcome)


def make_explanation_writers() -> tuple[ExplanationWriter, ...]:
    """Return the writers of an explanation of paths."""
    from hepatica.adapters.reports.paths_html import PathsPageWriter

    return (PathsPageWriter(),)


def make_track_ports() -> TrackPorts:
    """Join the world to the tracking workflow."""
    from hepatica.adapters.cdisc.csv_table import write_table
    from hepatica.adapters.reports.track_page import write_track_page
    from hepatica.workflows.track_request import TrackPorts

    return TrackPorts(base=make_plan_ports(), write_table=write_table, write_report=write_track_page)


@cache
def _demo_folder() -> Path:
    return Path(str(resources.files("hepatica.resources.demo")))


DEMO_RATE_ML_PER_MIN = 1.0
"""Made up for the demonstration, as its laboratory values are: no source read gives a rate."""


def make_demo_request(*, spread_draws: int = 0) -> PlanRequest:
    """Return the planning job of the shipped case: HCC_015, first visit, label table.

    Parameters
    ----------
    spread_draws
        Draws of a simulated spread; 0 for none.
    """
    from hepatica.workflows.request import LabelInput, PlanRequest
    from hepatica.workflows.spread_request import SpreadRequest

    folder = _demo_folder()
    return PlanRequest(
        image=folder / "venous.zip",
        labels=(
            LabelInput(path=folder / "labels.nii.gz", names=str(folder / "labels.csv")),
            LabelInput(path=folder / "organs.nii.gz", names=str(folder / "organs.csv")),
        ),
        protocol="tvec-label",
        visit=1,
        arterial=folder / "arterial.zip",
        facts=folder / "facts-simulated.json",
        tumour_type="hcc",
        spread=SpreadRequest(draws=spread_draws, rate_ml_per_min=DEMO_RATE_ML_PER_MIN)
        if spread_draws
        else None,
        rate_ml_per_min=None if spread_draws else DEMO_RATE_ML_PER_MIN,
    )


def open_executor(*, workers: int = 1, scheduler: str = "") -> AbstractContextManager[Executor | None]:
    """Open what shares out a simulation; see `hepatica.adapters.compute.executors.open_executor`."""
    from hepatica.adapters.compute import executors

    return executors.open_executor(workers=workers, scheduler=scheduler)
