"""What trials and their reports need from the world."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hepatica.bootstrap.clock import SystemClock

if TYPE_CHECKING:
    from hepatica.workflows.compare_designs import ComparisonPorts
    from hepatica.workflows.trial_report import TrialReportPorts


def make_comparison_ports() -> ComparisonPorts:
    """Join the world to the comparison of designs."""
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import write_document
    from hepatica.adapters.reports.comparison import ComparisonPageWriter
    from hepatica.workflows.compare_designs import ComparisonPorts

    return ComparisonPorts(
        stage_output=stage_output,
        write_document=write_document,
        writers=(ComparisonPageWriter(),),
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


def open_checkpoint(path: Path, work: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Open the file that keeps finished pieces of long work; see `hepatica.adapters.files.checkpoints`."""
    from hepatica.adapters.files import checkpoints

    return checkpoints.open_checkpoint(path, work)


def read_dataset_rows(path: Path) -> list[dict[str, str]]:
    """Return the rows of a SAS transport or Dataset-JSON file by column name, as text.

    Raises
    ------
    SourceFormatError
        If the file cannot be read.
    InputError
        If a row has another number of cells than there are columns.
    """
    from hepatica.adapters.cdisc import tables
    from hepatica.core.errors import InputError

    names = tables.read_header(path)
    rows = []
    for line, cells in tables.read_rows(path, required=names):
        if cells is None:
            raise InputError(expected=f"{len(names)} cells", given="another number", where=f"row {line - 1}")
        rows.append(dict(zip(names, cells)))
    return rows


def write_named_dataset(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    folder: Path,
    formats: Sequence[str],
    run_time: datetime,
) -> tuple[str, ...]:
    """Write rows of a described dataset, for example ``adtte``; return the names of the files."""
    from hepatica.adapters.cdisc.dataset import read_dataset
    from hepatica.adapters.cdisc.dataset_writer import write_dataset

    return write_dataset(rows, read_dataset(name), folder, run_time=run_time, formats=formats)


def make_trial_report_ports() -> TrialReportPorts:
    """Join the world to the report of a trial."""
    from hepatica.adapters.cdisc.courses import read_courses
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.define_xml import write_define
    from hepatica.adapters.cdisc.response_tables import open_response_tables
    from hepatica.adapters.cdisc.tables import read_header, read_rows
    from hepatica.adapters.cdisc.trial_folder import find_tables, keep_good_rows, open_room, read_sums
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.adapters.reports.trial_report import write_trial_report
    from hepatica.workflows.trial_report import TrialReportPorts
    from hepatica.workflows.trial_report_data import DataPorts

    return TrialReportPorts(
        data=DataPorts(
            find_tables=find_tables,
            read_header=read_header,
            read_table=read_rows,
            read_courses=read_courses,
            open_tables=open_response_tables,
            read_sums=read_sums,
            write_table=write_table,
            open_room=open_room,
        ),
        read_bytes=read_small_file,
        keep_good=keep_good_rows,
        write_dataset=write_named_dataset,
        write_define=write_define,
        write_pages=write_trial_report,
        write_table=write_table,
        write_document=write_document,
        digest_file=digest_file,
        stage_output=stage_output,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )
