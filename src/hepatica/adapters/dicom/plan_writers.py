"""The DICOM objects of a plan, in the order in which they need each other."""

from __future__ import annotations

from hepatica.adapters.dicom.pdf_writer import EncapsulatedPdfWriter
from hepatica.adapters.dicom.seg_writer import SegWriter
from hepatica.adapters.dicom.source_headers import ReadFiles, SourceReader
from hepatica.adapters.dicom.sr_writer import SrWriter
from hepatica.workflows.ports import PlanWriter


def make_plan_writers(read_files: ReadFiles) -> tuple[PlanWriter, ...]:
    """Return the writers of SEG, SR and Encapsulated PDF; they read the scan's headers once between them.

    Parameters
    ----------
    read_files
        Yields (name, content) of every file of a folder, archive or file.
    """
    source = SourceReader(read_files)
    return SegWriter(source), SrWriter(source), EncapsulatedPdfWriter(source)
