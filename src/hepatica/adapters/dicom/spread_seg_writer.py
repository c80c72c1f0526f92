"""The predicted spread as a BINARY DICOM SEG on the planes of the planning scan."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hepatica.adapters.dicom.seg_writer import PIXELS_PER_FILE_MAX, SegSeries, make_segmentation, share_out
from hepatica.adapters.dicom.segments import Segment
from hepatica.adapters.dicom.source_headers import SourceReader, foreign_values, write_dataset
from hepatica.adapters.dicom.stored_planes import find_planned_planes
from hepatica.core.progress import Progress
from hepatica.core.provenance import derive_uid
from hepatica.workflows.ports import PlanContext
from hepatica.workflows.spread_scenes import read_grid_limits
from hepatica.workflows.spread_values import LesionSpread, PlanSpread
from hepatica.workflows.spread_volumes import derive_covered_mask

SPREAD_SEG_FILE: Final = "spread_seg.dcm"
ALGORITHM: Final = "Hepatica simulated spread (prediction)"
SPREAD_SERIES: Final = SegSeries(
    name="predicted spread",
    number=905,
    label="PREDICTED_SPREAD",
    description="SIMULATED predicted spread of injection",
    content="Simulated for research, not observed",
)


class SpreadSegWriter:
    """Writes ``spread_seg.dcm``: one segment for each lesion, where it is reached in at least half of the draws.

    Parameters
    ----------
    source
        Reader of the scan's headers.
    """

    requires: Sequence[str] = ()

    def __init__(self, source: SourceReader) -> None:
        self._source = source

    def write_plan(self, context: PlanContext, folder: Path, *, progress: Progress) -> tuple[str, ...]:
        """Write the segments; nothing where the scan is not DICOM or no voxel is reached often enough."""
        if context.spread is None:
            return ()
        source = self._source.read_source(context.image.facts)
        segments = list_predicted_segments(context, context.spread) if source is not None else ()
        if source is None or not segments:
            return ()
        progress.stage("DICOM segmentation of the spread")
        source, stack = find_planned_planes(context.image, source)
        names = []
        for number, group in enumerate(share_out(segments, stack, PIXELS_PER_FILE_MAX), start=1):
            progress.check_cancelled()
            names.append(SPREAD_SEG_FILE if number == 1 else f"spread_seg_{number}.dcm")
            with foreign_values():
                dataset = make_segmentation(
                    context, source, stack=stack, frames=group, number=number, series=SPREAD_SERIES
                )
                write_dataset(dataset, folder / names[-1])
        return tuple(names)


def list_predicted_segments(context: PlanContext, spread: PlanSpread) -> tuple[Segment, ...]:
    """Return one segment for each lesion of whose surroundings enough is reached.

    Parameters
    ----------
    context
        Plan and scan.
    spread
        The prediction.
    """
    found = (_make_segment(context, spread, lesion) for lesion in spread.lesions)
    return tuple(segment for segment in found if segment is not None)


def _make_segment(context: PlanContext, spread: PlanSpread, lesion: LesionSpread) -> Segment | None:
    mask = derive_covered_mask(lesion, grid=context.image.volume.grid)
    if mask is None:
        return None
    limits = read_grid_limits()
    share, reached = limits["covered_probability"].number, limits["reached_fraction"].number
    return Segment(
        role="prediction",
        name=lesion.lesion_id,
        code="predicted_spread",
        label=f"{lesion.lesion_id} simulated spread",
        description=f"SIMULATED PREDICTION, not observed: reached by at least {reached:.0%} of the injected "
        f"concentration in at least {share:.0%} of {spread.request.draws} draws at {spread.rate.number:g} mL/min; "
        "research use",
        derived=True,
        method=ALGORITHM,
        mask=mask,
        tracking_id=f"{lesion.lesion_id} simulated spread",
        tracking_uid=derive_uid(context.manifest.run_id, "predicted spread", lesion.lesion_id),
    )
