"""Segmentation of the plan: liver, lesions, viable parts and risk structures as a BINARY DICOM SEG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.dicom.codes import list_coding_schemes, to_code, to_structure_codes
from hepatica.adapters.dicom.segments import Segment, list_segments
from hepatica.adapters.dicom.source_headers import (
    CHARACTER_SET,
    DEVICE_SERIAL_NUMBER,
    MANUFACTURER,
    MODEL_NAME,
    SourceReader,
    SourceSeries,
    foreign_values,
    set_run_time,
    to_long_string,
    to_run_date_time,
    write_dataset,
)
from hepatica.adapters.dicom.stored_planes import PlaneStack, find_planned_planes
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.workflows.ports import PlanContext

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

FRAME_DERIVED: Final = "; frame of reference derived"
"""Added to the content description, which DICOM limits to 64 characters in all."""
SEG_FILE: Final = "segmentation.dcm"
SEG_SERIES_NUMBER: Final = 901
PIXELS_PER_FILE_MAX: Final = 250_000_000
"""Pixels over all segments that may be handed to the encoder at once: it needs up to nine bytes for some."""


class SegWriter:
    """Writes ``segmentation.dcm``; a plan too large for one object continues in ``segmentation_2.dcm``.

    Parameters
    ----------
    source
        Reader of the scan's headers.
    pixels_per_file_max
        Pixels over all segments in an object whose segments overlap.
    """

    requires: Sequence[str] = ()

    def __init__(self, source: SourceReader, *, pixels_per_file_max: int = PIXELS_PER_FILE_MAX) -> None:
        self._source = source
        self._pixels_per_file_max = pixels_per_file_max

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the segments; nothing where the scan is not DICOM or holds no structure."""
        source = self._source.read_source(context.image.facts)
        segments = list_segments(context) if source is not None else ()
        if source is None or not segments:
            return ()
        progress.stage("DICOM segmentation")
        source, stack = find_planned_planes(context.image, source)
        names = []
        groups = share_out(segments, stack, self._pixels_per_file_max)
        for number, group in enumerate(groups, start=1):
            progress.check_cancelled()
            names.append(SEG_FILE if number == 1 else f"segmentation_{number}.dcm")
            with foreign_values():
                dataset = make_segmentation(context, source, stack=stack, frames=group, number=number)
                write_dataset(dataset, folder / names[-1])
            progress.advance(number / len(groups))
        return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class SegSeries:
    """What one kind of segmentation calls itself.

    Parameters
    ----------
    name
        Text that its UIDs derive from.
    number
        Series number.
    label
        Content label.
    description, content
        Series description and content description.
    """

    name: str
    number: int
    label: str
    description: str
    content: str


PLAN_SERIES: Final = SegSeries(
    name="segmentation",
    number=SEG_SERIES_NUMBER,
    label="INJECTION_PLAN",
    description="Injection plan segments",
    content="Injection plan, research use",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SegmentFrames:
    """The pixels of one object.

    Parameters
    ----------
    segments
        Its segments, numbered from 1.
    planes
        Planes along the slice axis.
    pixels
        (plane, row, column, segment) 0 or 1; or (plane, row, column) segment numbers where none overlap.
    """

    segments: tuple[Segment, ...]
    planes: range
    pixels: NDArray[Any]


def make_segmentation(
    context: PlanContext,
    source: SourceSeries,
    *,
    stack: PlaneStack,
    frames: SegmentFrames,
    number: int,
    series: SegSeries = PLAN_SERIES,
) -> Dataset:
    """Build one SEG object.

    Parameters
    ----------
    context, source
        Plan and headers of its scan.
    stack
        How the grid is cut into planes.
    frames
        Segments and pixels of this object.
    number
        Instance number, from 1.
    series
        What it calls itself.
    """
    import highdicom as hd

    run_id = context.manifest.run_id
    date, time = to_run_date_time(context.manifest.run_time, source.first)
    dataset = hd.seg.Segmentation(
        source_images=list(source.headers),
        pixel_array=frames.pixels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=[_describe(n, s, context) for n, s in enumerate(frames.segments, start=1)],
        series_instance_uid=derive_uid(run_id, f"{series.name} series"),
        series_number=series.number,
        sop_instance_uid=derive_uid(run_id, series.name, str(number)),
        instance_number=number,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MODEL_NAME,
        software_versions=context.manifest.code_version,
        device_serial_number=DEVICE_SERIAL_NUMBER,
        content_description=series.content + (FRAME_DERIVED if source.frame_derived else ""),
        content_label=series.label,
        content_creator_name="Hepatica^",
        pixel_measures=hd.PixelMeasuresSequence(
            pixel_spacing=stack.pixel_spacing_mm,
            slice_thickness=stack.plane_spacing_mm,
            spacing_between_slices=stack.plane_spacing_mm,
        ),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", stack.orientation.round(9).tolist()),
        plane_positions=[
            hd.PlanePositionSequence("PATIENT", stack.find_position_lps_mm(plane).round(6).tolist())
            for plane in frames.planes
        ],
        series_description=series.description,
        specific_character_set=CHARACTER_SET,
        content_date=date,
        content_time=time,
        coding_schemes=list_coding_schemes(),
    )
    _finish(dataset, context, source=source, name=series.name, number=number)
    return dataset


def share_out(segments: Sequence[Segment], stack: PlaneStack, pixels_max: int) -> list[SegmentFrames]:
    """Put all segments into one object; where that is too large, into few that hold no two that overlap."""
    planes = _find_used_planes(segments, stack)
    if len(segments) * len(planes) * stack.plane_shape[0] * stack.plane_shape[1] <= pixels_max:
        return [
            SegmentFrames(segments=tuple(segments), planes=planes, pixels=_stack(segments, stack, planes))
        ]
    number_type = np.uint8 if len(segments) <= np.iinfo(np.uint8).max else np.uint16
    groups: list[tuple[list[Segment], NDArray[Any]]] = []
    for segment in segments:
        free = (g for g in groups if not _cut(g[1], segment, stack, planes)[segment.mask.crop].any())
        group = next(free, None)
        if group is None:
            group = ([], np.zeros((len(planes), *stack.plane_shape), dtype=number_type))
            groups.append(group)
        group[0].append(segment)
        _cut(group[1], segment, stack, planes)[segment.mask.crop] = len(group[0])
    return [
        SegmentFrames(segments=tuple(members), planes=planes, pixels=labels) for members, labels in groups
    ]


def _find_used_planes(segments: Sequence[Segment], stack: PlaneStack) -> range:
    boxes = [segment.mask.box[stack.slice_axis] for segment in segments]
    return range(min(box.start for box in boxes), max(box.stop for box in boxes))


def _stack(segments: Sequence[Segment], stack: PlaneStack, planes: range) -> NDArray[np.uint8]:
    """Return (plane, row, column, segment) pixels; each segment's planes are contiguous in memory."""
    pixels = np.zeros((len(segments), len(planes), *stack.plane_shape), dtype=np.uint8)
    for number, segment in enumerate(segments):
        _cut(pixels[number], segment, stack, planes)[...] = segment.mask.crop
    return np.moveaxis(pixels, 0, -1)


def _cut(pixels: NDArray[Any], segment: Segment, stack: PlaneStack, planes: range) -> NDArray[Any]:
    """View the box of a segment's mask in (plane, row, column) pixels, as (i, j, k)."""
    box = list(segment.mask.box)
    along = box[stack.slice_axis]
    box[stack.slice_axis] = slice(along.start - planes.start, along.stop - planes.start)
    return stack.view_as_grid(pixels)[tuple(box)]


def _describe(number: int, segment: Segment, context: PlanContext) -> Any:
    import highdicom as hd

    category, kind = to_structure_codes(segment.code)
    if segment.derived:
        how, algorithm = hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC, segment.method
    else:
        # Nothing says how a supplied label was drawn; "manual" would claim a person drew it.
        how, algorithm = hd.seg.SegmentAlgorithmTypeValues.SEMIAUTOMATIC, "supplied label"
    description = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=to_long_string(segment.label),
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=how,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=to_long_string(algorithm) or "not named",
            version=context.manifest.code_version,
            family=to_code("concept", _find_family(segment)),
        ),
        tracking_uid=segment.tracking_uid,
        tracking_id=to_long_string(segment.tracking_id),
        anatomic_regions=[to_code("structure", "liver")] if segment.role != "structure" else None,
    )
    description.SegmentDescription = to_long_string(segment.description, 1024)
    return description


def _find_family(segment: Segment) -> str:
    if segment.role == "prediction":
        return "simulated_prediction"
    return "derived_not_reviewed" if segment.derived else "supplied_label"


def _finish(dataset: Any, context: PlanContext, *, source: SourceSeries, name: str, number: int) -> None:
    """Replace what the encoder draws at random or takes from the clock."""
    organization = derive_uid(context.manifest.run_id, f"{name} dimensions", str(number))
    for item in dataset.DimensionOrganizationSequence:
        item.DimensionOrganizationUID = organization
    for item in dataset.DimensionIndexSequence:
        item.DimensionOrganizationUID = organization
    set_run_time(dataset, context.manifest.run_time, source.first)
