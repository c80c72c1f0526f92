"""What reports of a record need from the world."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hepatica.bootstrap.followup import make_response_ports, make_response_report_writer
from hepatica.bootstrap.trials import make_trial_report_ports

if TYPE_CHECKING:
    from hepatica.workflows.report_record import ReportPorts


def make_report_ports() -> ReportPorts:
    """Join the world to the reports of a record."""
    from hepatica.workflows.report_record import ReportPorts

    return ReportPorts(
        trial=make_trial_report_ports(),
        response=make_response_ports(),
        write_response=make_response_report_writer(),
    )
