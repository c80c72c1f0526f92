"""DICOM series as images: listing, choice, reading."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from hepatica.adapters.dicom.headers import HeaderIndex, SliceRecord, quiet_pydicom, read_headers
from hepatica.adapters.dicom.phase_hint import derive_phase_hints
from hepatica.adapters.dicom.series import ImageGroup, find_groups, summarise_groups
from hepatica.adapters.dicom.stack_reader import ReadStack, read_stack
from hepatica.core.errors import (
    MixedAcquisitionError,
    ModalityError,
    NotAVolumeError,
    NotFoundError,
    SeriesChoiceError,
    SourceFormatError,
)
from hepatica.core.findings import Finding, NotEvaluable, Severity
from hepatica.core.geometry import Grid
from hepatica.core.position import PatientPosition
from hepatica.core.progress import Progress
from hepatica.imaging.orientation import to_canonical
from hepatica.imaging.volume import Volume
from hepatica.workflows.ports import FileTree, ImageFacts, ReadImage, SeriesSummary

_T = TypeVar("_T")


class DicomImageReader:
    """Reads CT, MR and PET series from folders, archives and single (multi-frame) files.

    Parameters
    ----------
    open_tree
        Opens a path as a tree of files, for example `hepatica.adapters.files.tree.open_tree`.

    Examples
    --------
    >>> from importlib import resources
    >>> from hepatica.adapters.files.tree import open_tree
    >>> scan = Path(str(resources.files("hepatica.resources.demo"))) / "venous.zip"
    >>> [(s.modality, s.image_count, s.role) for s in DicomImageReader(open_tree).list_series(scan)]
    [('CT', 62, 'image')]
    """

    def __init__(self, open_tree: Callable[[Path], FileTree]) -> None:
        self._open_tree = open_tree

    def list_series(self, path: Path) -> tuple[SeriesSummary, ...]:
        """List every series and acquisition: image candidates first, then what is none, with the reason.

        Raises
        ------
        SourceFormatError
            If the path holds no DICOM.
        """
        with quiet_pydicom(), self._open_tree(path) as tree:
            return summarise_groups(find_groups(_read_index(tree), tree))

    def read_image(
        self, path: Path, *, series: str | None = None, resample: bool = False, progress: Progress
    ) -> ReadImage:
        """Read one series as an image in canonical axes.

        Parameters
        ----------
        path
            Folder, zip or file.
        series
            Number or UID (with ``#acquisition``) as listed; needed where several images are found.
        resample
            Allow tilt, uneven spacing and small gaps to be repaired; a finding says what was done.
        progress
            Told about each slice.

        Raises
        ------
        SeriesChoiceError
            If several images fit and none was chosen.
        MixedAcquisitionError
            If the only, or the chosen, series holds several acquisitions.
        GeometryError
            One of its leaves, see `hepatica.adapters.dicom.stack_reader`.
        SourceFormatError
            If a file is damaged, or there is no image.
        """
        progress.stage("reading headers")
        with quiet_pydicom(), self._open_tree(path) as tree:
            index = _read_index(tree)
            groups = find_groups(index, tree)
            group = choose_group(groups, series=series, where="")
            _require_readable(index)
            where = group.label
            stack = read_stack(tree, group.records, where=where, resample=resample, progress=progress)
        hint = derive_phase_hints([each.records for each in groups])[groups.index(group)]
        return _to_read_image(group, stack, index=index, hint=hint, path=path)


def choose_group(groups: Sequence[ImageGroup], *, series: str | None, where: str) -> ImageGroup:
    """Choose the one image group that is meant, or refuse.

    Raises
    ------
    SeriesChoiceError, MixedAcquisitionError, NotFoundError, ModalityError, NotAVolumeError, SourceFormatError
    """
    if series is not None:
        return _choose_named(groups, series.strip(), where=where)
    images = [group for group in groups if group.role == "image"]
    if len(images) == 1:
        return images[0]
    if not images:
        raise _no_image(groups, where=where)
    if len({group.series_uid for group in images}) == 1:
        raise _mixed(groups, images, where=where)
    # Candidates come first in the list, so their numbers are those of the whole list.
    raise SeriesChoiceError(choices=_describe(groups)[: len(images)], where=where)


def _choose_named(groups: Sequence[ImageGroup], series: str, *, where: str) -> ImageGroup:
    if series.isdecimal() and 1 <= int(series) <= len(groups):
        chosen = groups[int(series) - 1]
    else:
        exact = [group for group in groups if group.uid == series]
        parts = [group for group in groups if group.series_uid == series and group.role == "image"]
        if not exact and len(parts) > 1:
            raise _mixed(groups, parts, where=where)
        found = exact or parts
        if not found:
            raise NotFoundError(
                expected="a series number or UID of the list",
                given=f"'{series[:80]}'; there are:\n  " + "\n  ".join(_describe(groups)),
                where=where,
                action="choose one with --series",
            )
        chosen = found[0]
    if chosen.role == "single image":
        return chosen
    if chosen.role != "image":
        raise ModalityError(
            expected="a CT, MR or PET image series",
            given=f"{chosen.role}: {chosen.reason}",
            where=chosen.label,
            action="choose an image series with --series",
        )
    return chosen


def _mixed(groups: Sequence[ImageGroup], parts: Sequence[ImageGroup], *, where: str) -> MixedAcquisitionError:
    lines = [line for group, line in zip(groups, _describe(groups), strict=True) if group in parts]
    return MixedAcquisitionError(
        expected="one acquisition in the series",
        given=f"{len(parts)}:\n  " + "\n  ".join(lines),
        where=where,
        action="choose one with --series UID#acquisition, or its number",
    )


def _no_image(groups: Sequence[ImageGroup], *, where: str) -> Exception:
    roles = {group.role for group in groups}
    found = "only:\n  " + "\n  ".join(_describe(groups)) if groups else "no image"
    if "unreadable" in roles and roles <= {"unreadable", "document"}:
        return SourceFormatError(
            expected="complete DICOM files", given=found, where=where, action="copy or export the files again"
        )
    if "single image" in roles:
        return NotAVolumeError(
            expected="a series of at least two slices",
            given=found,
            where=where,
            action="give the whole series",
        )
    return ModalityError(
        expected="a CT, MR or PET image series", given=found, where=where, action="check the path"
    )


def _describe(groups: Sequence[ImageGroup]) -> tuple[str, ...]:
    lines = []
    for summary in summarise_groups(groups):
        spacing = (
            " x ".join(f"{value:g}" for value in summary.spacing_mm) if summary.spacing_mm else "unknown"
        )
        kind = (
            f"phase {summary.phase_hint}" if summary.role == "image" else f"{summary.role}: {summary.reason}"
        )
        lines.append(
            f"{summary.number}: {summary.modality or '?'} '{summary.description}', {summary.image_count} "
            f"images, "
            f"spacing {spacing} mm, {kind}, {summary.uid}"
        )
    return tuple(lines)


def _read_index(tree: FileTree) -> HeaderIndex:
    index = read_headers(tree)
    if not index.records and not index.unreadable:
        raise SourceFormatError(
            expected="DICOM files",
            given=f"{index.ignored} other file(s)",
            action="check the path",
        )
    return index


def _require_readable(index: HeaderIndex) -> None:
    """Refuse damaged files: one may be an end slice of the chosen series, where no gap would show."""
    if index.unreadable:
        raise SourceFormatError(
            expected="complete DICOM files",
            given=f"{len(index.unreadable)} that cannot be read, the first is {index.unreadable[0]}",
            action="copy or export the files again, or remove them",
        )


def _to_read_image(
    group: ImageGroup, stack: ReadStack, *, index: HeaderIndex, hint: str, path: Path
) -> ReadImage:
    first = group.first
    values, affine, slice_axis = to_canonical(stack.values.T, lps_from_ijk=stack.lps_from_ijk, slice_axis=2)
    grid = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]),
        lps_from_ijk=affine,
        frame_of_reference=first.frame_of_reference or None,
        slice_axis=slice_axis,
    )
    ordered = _ordered_records(group, stack, grid)
    facts = ImageFacts(
        format="DICOM",
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        frame_of_reference=first.frame_of_reference,
        series_description=first.description,
        study_date=first.study_date,
        phase_hint=hint,
        patient_position=_read_position(first),
        slice_locations_mm=measure_slice_locations(grid, ordered),
        instance_numbers=_all_known([record.instance_number for record in ordered]),
        sop_instance_uids=_all_known([record.sop_instance_uid or None for record in ordered]),
        source=path,
    )
    return ReadImage(
        volume=Volume(values=values, grid=grid, modality=first.modality),
        facts=facts,
        digest=stack.digest,
        findings=(*stack.findings, *_describe_headers(group, index, where=group.label)),
    )


def _ordered_records(group: ImageGroup, stack: ReadStack, grid: Grid) -> list[SliceRecord]:
    """Return the records in the order of the canonical slice axis; none where slices were resampled."""
    if stack.order is None:
        return []
    records = [group.records[n] for n in stack.order]
    same_way = float(grid.lps_from_ijk[:3, grid.slice_axis] @ stack.lps_from_ijk[:3, 2]) > 0
    return records if same_way else records[::-1]


def measure_slice_locations(grid: Grid, records: Sequence[SliceRecord]) -> tuple[float, ...]:
    """Return Slice Location for each slice, or its centre along the slice normal where absent."""
    locations = [record.slice_location_mm for record in records]
    known = [location for location in locations if location is not None]
    if records and len(known) == len(records):
        return tuple(known)
    axis = grid.slice_axis
    index = np.tile((np.array(grid.shape) - 1) / 2, (grid.shape[axis], 1))
    index[:, axis] = np.arange(grid.shape[axis])
    return tuple(float(value) for value in (grid.to_lps_mm(index) @ grid.directions[:, axis]).round(4))


def _all_known(values: Sequence[_T | None]) -> tuple[_T, ...]:
    known = tuple(value for value in values if value is not None)
    return known if len(known) == len(values) else ()


def _read_position(record: SliceRecord) -> str | NotEvaluable:
    if record.patient_position in PatientPosition.__members__:
        return record.patient_position
    return NotEvaluable(reason="Patient Position (0018,5100) is unknown")


def _describe_headers(group: ImageGroup, index: HeaderIndex, *, where: str) -> list[Finding]:
    findings = []
    if not group.first.frame_of_reference:
        findings.append(
            _info(
                "image.frame_undeclared",
                "The series declares no frame of reference; labels must fit by their grid.",
                where,
            )
        )
    if not group.first.series_uid:
        findings.append(_info("image.series_uid_missing", "The files carry no Series Instance UID.", where))
    if group.joined > 1:
        message = f"{group.joined} acquisitions at neighbouring table positions were joined into one stack."
        findings.append(
            Finding(
                rule="image.joined_acquisitions", severity=Severity.WARNING, message=message, subject=where
            )
        )
    if index.ignored:
        findings.append(
            _info("image.other_files", f"{index.ignored} file(s) are not DICOM and were left out.", where)
        )
    return findings


def _info(rule: str, message: str, where: str) -> Finding:
    return Finding(rule=rule, severity=Severity.INFO, message=message, subject=where)
