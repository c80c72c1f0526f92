"""The DICOM objects of a plan, in the order in which they need each other."""

from __future__ import annotations

from hepatica.adapters.dicom.pdf_writer import EncapsulatedPdfWriter
from hepatica.adapters.dicom.seg_writer import SegWriter
from hepatica.adapters.dicom.source_headers import ReadFiles, SourceReader
from hepatica.adapters.dicom.spread_seg_writer import SpreadSegWriter
from hepatica.adapters.dicom.sr_writer import SrWriter
from hepatica.workflows.ports import PlanWriter


def make_plan_writers(read_files: ReadFiles) -> tuple[PlanWriter, ...]:
    """Return the writers of SEG, SR, Encapsulated PDF and predicted spread; they share one reading of the headers.

    Parameters
    ----------
    read_files
        Yields (name, content) of every file of a folder, archive or file.
    """
    source = SourceReader(read_files)
    return SegWriter(source), SrWriter(source), EncapsulatedPdfWriter(source), SpreadSegWriter(source)


def make_spread_writers(read_files: ReadFiles) -> tuple[PlanWriter, ...]:
    """Return the writers of a simulated spread alone.

    Parameters
    ----------
    read_files
        As for `make_plan_writers`.
    """
    return (SpreadSegWriter(SourceReader(read_files)),)
