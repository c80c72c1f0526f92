"""The one-page sheet as a DICOM Encapsulated PDF, which every archive can show."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hepatica.adapters.dicom.codes import list_coding_schemes, to_code
from hepatica.adapters.dicom.source_headers import (
    CHARACTER_SET,
    DEVICE_SERIAL_NUMBER,
    MANUFACTURER,
    MODEL_NAME,
    SourceReader,
    SourceSeries,
    copy_patient_and_study,
    foreign_values,
    set_run_time,
    write_dataset,
)
from hepatica.adapters.dicom.stored_planes import find_planned_planes
from hepatica.core.errors import SourceFormatError
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.workflows.ports import PlanContext

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

SHEET_FILE: Final = "sheet.pdf"
PDF_FILE: Final = "sheet.dcm"
PDF_SERIES_NUMBER: Final = 903


class EncapsulatedPdfWriter:
    """Writes ``sheet.dcm`` from ``sheet.pdf``.

    Parameters
    ----------
    source
        Reader of the scan's headers.
    """

    requires: Sequence[str] = (SHEET_FILE,)

    def __init__(self, source: SourceReader) -> None:
        self._source = source

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the sheet; nothing where the scan is not DICOM.

        Raises
        ------
        SourceFormatError
            If ``sheet.pdf`` is not there or is no PDF.
        """
        source = self._source.read_source(context.image.facts)
        if source is None:
            return ()
        progress.stage("DICOM sheet")
        sheet = folder / SHEET_FILE
        pdf = sheet.read_bytes() if sheet.is_file() else b""
        if not pdf.startswith(b"%PDF-"):
            raise SourceFormatError(
                expected="a PDF",
                given=f"{len(pdf)} bytes of another kind",
                where=SHEET_FILE,
                action="write the sheet first",
            )
        source, _ = find_planned_planes(context.image, source)
        with foreign_values():
            write_dataset(make_encapsulated_pdf(context, source, pdf=pdf), folder / PDF_FILE)
        return (PDF_FILE,)


def make_encapsulated_pdf(context: PlanContext, source: SourceSeries, *, pdf: bytes) -> Dataset:
    """Build the object around the bytes of a PDF."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import EncapsulatedPDFStorage, ExplicitVRLittleEndian

    run_id = context.manifest.run_id
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    dataset.SpecificCharacterSet = CHARACTER_SET
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = derive_uid(run_id, "sheet")
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    copy_patient_and_study(source.first, dataset)
    dataset.Modality = "DOC"
    dataset.SeriesInstanceUID = derive_uid(run_id, "sheet series")
    dataset.SeriesNumber = PDF_SERIES_NUMBER
    dataset.SeriesDescription = "Injection plan sheet"
    dataset.InstanceNumber = 1
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MODEL_NAME
    dataset.DeviceSerialNumber = DEVICE_SERIAL_NUMBER
    dataset.SoftwareVersions = context.manifest.code_version
    dataset.ConversionType = "WSD"
    # The sheet names the patient.
    dataset.BurnedInAnnotation = "YES"
    dataset.AcquisitionDateTime = ""
    dataset.DocumentTitle = "Injection plan, research use, not a medical device"
    dataset.ConceptNameCodeSequence = [_to_item(to_code("concept", "injection_plan"))]
    dataset.CodingSchemeIdentificationSequence = list_coding_schemes()
    dataset.SourceInstanceSequence = [_to_reference(header) for header in source.headers]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
    set_run_time(dataset, context.manifest.run_time, source.first)
    return dataset


def _to_item(code: Code) -> Dataset:
    from highdicom.sr import CodedConcept

    return CodedConcept.from_code(code)


def _to_reference(header: Dataset) -> Dataset:
    from pydicom.dataset import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = header.SOPClassUID
    item.ReferencedSOPInstanceUID = header.SOPInstanceUID
    return item
