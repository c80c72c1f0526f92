"""The plan as a DICOM Comprehensive 3D structured report (TID 1500)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hepatica.adapters.dicom.codes import list_coding_schemes, to_code
from hepatica.adapters.dicom.seg_writer import SEG_FILE
from hepatica.adapters.dicom.segments import find_tracking_uids
from hepatica.adapters.dicom.source_headers import (
    CHARACTER_SET,
    DEVICE_SERIAL_NUMBER,
    MANUFACTURER,
    MODEL_NAME,
    SourceReader,
    SourceSeries,
    foreign_values,
    set_run_time,
    to_run_date_time,
    write_dataset,
)
from hepatica.adapters.dicom.sr_groups import ReportFrame, SegmentReference, make_groups
from hepatica.adapters.dicom.stored_planes import find_planned_planes
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.workflows.ports import PlanContext

if TYPE_CHECKING:
    from highdicom.sr import ObservationContext
    from pydicom.dataset import Dataset
    from pydicom.sr.coding import Code

SR_FILE: Final = "plan_sr.dcm"
SR_SERIES_NUMBER: Final = 902


class SrWriter:
    """Writes ``plan_sr.dcm``; lesions point to their segments in ``segmentation.dcm``.

    Parameters
    ----------
    source
        Reader of the scan's headers.
    """

    requires: Sequence[str] = (SEG_FILE,)

    def __init__(self, source: SourceReader) -> None:
        self._source = source

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the report; nothing where the scan is not DICOM."""
        source = self._source.read_source(context.image.facts)
        if source is None:
            return ()
        progress.stage("DICOM structured report")
        source, _ = find_planned_planes(context.image, source)
        with foreign_values():
            dataset = make_report(context, source, segmentations=_read_segmentations(folder))
            write_dataset(dataset, folder / SR_FILE)
        return (SR_FILE,)


def make_report(context: PlanContext, source: SourceSeries, *, segmentations: Sequence[Dataset]) -> Dataset:
    """Build the report.

    Parameters
    ----------
    context, source
        Plan and headers of its scan.
    segmentations
        Headers of the SEG objects of this plan; may be empty.
    """
    import highdicom as hd

    manifest = context.manifest
    frame = ReportFrame(
        context=context,
        frame_of_reference=source.frame_of_reference,
        source_series_uid=str(source.first.SeriesInstanceUID),
        tracking_uids=find_tracking_uids(context),
        segments=_find_segments(segmentations),
        notes=source.notes,
    )
    content = hd.sr.MeasurementReport(
        observation_context=_make_observer(manifest.code_version),
        procedure_reported=to_code("concept", "procedure"),
        imaging_measurements=make_groups(frame),
        title=_title(),
        referenced_images=list(source.headers) if _has_planes(source) else None,
    )
    date, time = to_run_date_time(manifest.run_time, source.first)
    dataset = hd.sr.Comprehensive3DSR(
        evidence=[*source.headers, *segmentations],
        content=content,
        series_instance_uid=derive_uid(manifest.run_id, "report series"),
        series_number=SR_SERIES_NUMBER,
        sop_instance_uid=derive_uid(manifest.run_id, "report"),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=manifest.code_version,
        device_serial_number=DEVICE_SERIAL_NUMBER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        series_description="Injection plan report",
        specific_character_set=CHARACTER_SET,
        coding_schemes=list_coding_schemes(),
        content_date=date,
        content_time=time,
    )
    set_run_time(dataset, manifest.run_time, source.first)
    return dataset


def _title() -> Code:
    from pydicom.sr.codedict import codes

    return codes.DCM.ImagingMeasurementReport


def _make_observer(version: str) -> ObservationContext:
    import highdicom as hd
    from pydicom.sr.codedict import codes

    return hd.sr.ObservationContext(
        observer_device_context=hd.sr.ObserverContext(
            observer_type=codes.DCM.Device,
            observer_identifying_attributes=hd.sr.DeviceObserverIdentifyingAttributes(
                uid=derive_uid("hepatica", "device", version),
                name="Hepatica",
                manufacturer_name=MANUFACTURER,
                model_name=MODEL_NAME,
            ),
        )
    )


def _has_planes(source: SourceSeries) -> bool:
    """Whether every header carries what an image library entry needs."""
    needed = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness")
    return all(header.get(word) not in (None, "") for header in source.headers for word in needed)


def _read_segmentations(folder: Path) -> list[Dataset]:
    from pydicom import dcmread

    return [dcmread(path, stop_before_pixels=True) for path in sorted(folder.glob("segmentation*.dcm"))]


def _find_segments(segmentations: Sequence[Dataset]) -> dict[str, SegmentReference]:
    """Return each segment by its tracking UID."""
    return {
        str(segment.TrackingUID): SegmentReference(
            sop_instance_uid=str(dataset.SOPInstanceUID), segment_number=int(segment.SegmentNumber)
        )
        for dataset in segmentations
        for segment in dataset.SegmentSequence
    }
