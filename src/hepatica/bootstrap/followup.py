"""What response, visits, safety and the procedure need from the world."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from hepatica.bootstrap.clock import SystemClock
from hepatica.bootstrap.trials import write_named_dataset

if TYPE_CHECKING:
    from hepatica.workflows.check_procedure import ProcedurePorts
    from hepatica.workflows.derive_response import ResponsePorts
    from hepatica.workflows.followup_ports import FollowupPorts
    from hepatica.workflows.report_response import WriteReport
    from hepatica.workflows.response_endpoints import EndpointPorts


def make_response_ports() -> ResponsePorts:
    """Join the world to the response workflows."""
    from hepatica.adapters.cdisc.courses import read_courses
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.response_tables import open_response_tables, write_formats
    from hepatica.adapters.cdisc.tables import read_header, read_rows
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import write_document
    from hepatica.workflows.derive_response import ResponsePorts

    return ResponsePorts(
        read_courses=read_courses,
        open_tables=open_response_tables,
        stage_output=stage_output,
        digest_file=digest_file,
        write_document=write_document,
        read_table=read_rows,
        read_header=read_header,
        write_table=write_table,
        write_formats=write_formats,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


def make_procedure_ports() -> ProcedurePorts:
    """Join the world to the check of a procedure day."""
    from hepatica.adapters.cdisc.csv_table import write_table
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.workflows.check_procedure import ProcedurePorts

    return ProcedurePorts(
        read_bytes=read_small_file,
        stage_output=stage_output,
        write_table=write_table,
        write_document=write_document,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


def make_followup_ports() -> FollowupPorts:
    """Join the world to the workflows of visits and safety."""
    from hepatica.adapters.cdisc.csv_table import read_header, read_rows, to_csv
    from hepatica.adapters.files.calendar import to_calendar
    from hepatica.adapters.files.file_set import write_file_set
    from hepatica.adapters.files.small_files import read_small_file
    from hepatica.workflows.followup_ports import FollowupPorts

    return FollowupPorts(
        read_table=read_rows,
        read_header=read_header,
        read_bytes=read_small_file,
        to_csv=to_csv,
        to_calendar=to_calendar,
        write_files=write_file_set,
        clock=SystemClock(),
    )


def make_endpoint_ports() -> EndpointPorts:
    """Join the world to the endpoints of responses."""
    from hepatica.adapters.cdisc.csv_table import digest_file, write_table
    from hepatica.adapters.cdisc.tables import read_rows
    from hepatica.adapters.files.output_folder import stage_output
    from hepatica.adapters.files.small_files import read_small_file, write_document
    from hepatica.workflows.response_endpoints import EndpointPorts

    return EndpointPorts(
        read_table=read_rows,
        read_bytes=read_small_file,
        write_dataset=write_named_dataset,
        write_table=write_table,
        stage_output=stage_output,
        digest_file=digest_file,
        write_document=write_document,
        clock=SystemClock(),
        code_version=metadata.version("hepatica"),
    )


def make_response_report_writer() -> WriteReport:
    """Return the writer of ``response.html`` and its pictures."""
    from hepatica.adapters.reports.response_report import write_response_report

    return write_response_report
