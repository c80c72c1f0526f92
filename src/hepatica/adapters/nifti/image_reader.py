"""NIfTI, NRRD and MetaImage files as images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hepatica.adapters.nifti.stored_array import StoredArray
from hepatica.adapters.nifti.volume_file import VolumeFile, find_volume_files, load_volume_file
from hepatica.core.errors import GantryTiltError, NonFiniteError, NotFoundError, SeriesChoiceError
from hepatica.core.findings import Finding, Severity
from hepatica.core.geometry import ORTHOGONALITY_TOLERANCE, FloatArray, Grid
from hepatica.core.progress import Progress
from hepatica.imaging.orientation import derive_slice_axis, to_canonical
from hepatica.imaging.resample import derive_unsheared_grid, resample_array
from hepatica.imaging.volume import Volume
from hepatica.workflows.ports import FileTree, ImageFacts, ReadImage, SeriesSummary

AIR_HU: Final = -1024
"""Lowest CT number of the 12-bit scale."""
CT_BELOW: Final = -500
"""Air and lung lie below this in CT; MR magnitudes and PET activities are never negative by hundreds."""


class VolumeFileImageReader:
    """Reads one volume file, or chooses one of a folder or archive.

    Parameters
    ----------
    open_tree
        Opens a path as a tree of files.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import nibabel
    >>> from hepatica.adapters.files.tree import open_tree
    >>> from hepatica.core.progress import SILENT
    >>> image = nibabel.Nifti1Image(np.zeros((8, 8, 4), np.int16), np.diag([1.5, 1.5, 3.0, 1.0]))
    >>> with TemporaryDirectory() as folder:
    ...     nibabel.save(image, Path(folder) / "ct.nii.gz")
    ...     read = VolumeFileImageReader(open_tree).read_image(Path(folder), progress=SILENT)
    >>> read.volume.grid.spacing_mm.tolist(), read.facts.format
    ([1.5, 1.5, 3.0], 'NIfTI')
    """

    def __init__(self, open_tree: Callable[[Path], FileTree]) -> None:
        self._open_tree = open_tree

    def list_series(self, path: Path) -> tuple[SeriesSummary, ...]:
        """List the volume files below a path; the format names neither modality nor phase."""
        with find_volume_files(path, self._open_tree) as files:
            return tuple(_summarise(number, file) for number, file in enumerate(files, start=1))

    def read_image(
        self, path: Path, *, series: str | None = None, resample: bool = False, progress: Progress
    ) -> ReadImage:
        """Read one file as an image in canonical axes.

        The modality is CT where values reach far below zero, as only CT numbers do; else it stays ``OT``
        with a
        warning. Whole numbers come as int16 where they fit, others as float32.

        Raises
        ------
        SeriesChoiceError
            If a folder holds several volume files and none was chosen.
        GantryTiltError
            If the affine is sheared and ``resample`` is off.
        NonFiniteError
            On NaN or infinity.
        MissingGeometryError, NotAVolumeError, TooLargeError, SourceFormatError
            As the loaders.
        """
        progress.stage("reading volume file")
        with find_volume_files(path, self._open_tree) as files:
            file = _choose(files, series=series)
            stored = load_volume_file(file)
        return _to_read_image(stored, file=file, path=path, resample=resample)


def _summarise(number: int, file: VolumeFile) -> SeriesSummary:
    spacing: tuple[float, float, float] | None = None
    count = 0
    role, reason = "image", ""
    from hepatica.core.errors import HepaticaError

    try:
        stored = load_volume_file(file)
        lengths = np.linalg.norm(stored.lps_from_ijk[:3, :3], axis=0).round(4)
        spacing = (float(lengths[0]), float(lengths[1]), float(lengths[2]))
        count = stored.values.shape[derive_slice_axis(stored.lps_from_ijk)]
    except HepaticaError as error:
        role, reason = "unreadable", f"{error.code}: {error.given}"
    return SeriesSummary(
        number=number,
        uid=file.name,
        modality="",
        description="",
        image_count=count,
        spacing_mm=spacing,
        phase_hint="unknown",
        role=role,
        reason=reason,
    )


def _choose(files: Sequence[VolumeFile], *, series: str | None) -> VolumeFile:
    if series is not None:
        wanted = series.strip()
        if wanted.isdecimal() and 1 <= int(wanted) <= len(files):
            return files[int(wanted) - 1]
        for file in files:
            if wanted == file.name:
                return file
        raise NotFoundError(
            expected="a file number or name of the list",
            given=f"'{wanted[:80]}'",
            action=f"choose a number from 1 to {len(files)}; 'hepatica series' lists them",
        )
    if len(files) > 1:
        lines = tuple(_describe_choice(_summarise(n, file)) for n, file in enumerate(files, start=1))
        raise SeriesChoiceError(choices=lines, where="")
    return files[0]


def _describe_choice(summary: SeriesSummary) -> str:
    """Describe a candidate without its name, which may tell who the patient is."""
    if summary.spacing_mm is None:
        return f"{summary.number}: {summary.role}: {summary.reason}"
    spacing = " x ".join(f"{value:g}" for value in summary.spacing_mm)
    return f"{summary.number}: {summary.image_count} slices, spacing {spacing} mm"


def _to_read_image(stored: StoredArray, *, file: VolumeFile, path: Path, resample: bool) -> ReadImage:
    where = file.where
    findings = list(stored.findings)
    values = compact_values(stored.values, where=where)
    modality = "CT" if values.min() <= CT_BELOW else "OT"
    findings.append(_describe_modality(modality, stored.format, where))
    if modality == "CT" and values.min() < AIR_HU:
        low = values < AIR_HU
        values = np.where(low, np.array(AIR_HU, dtype=values.dtype), values)
        findings.append(_describe_padding(low, where))
    fill = float(AIR_HU if modality == "CT" else values.min())
    values, affine, slice_axis, repairs = _straighten(
        stored, values, fill=fill, resample=resample, where=where
    )
    findings.extend(repairs)
    values, affine, slice_axis = to_canonical(values, lps_from_ijk=affine, slice_axis=slice_axis)
    grid = Grid(
        shape=(values.shape[0], values.shape[1], values.shape[2]), lps_from_ijk=affine, slice_axis=slice_axis
    )
    facts = ImageFacts(format=stored.format, slice_locations_mm=_slice_locations(grid), source=path)
    return ReadImage(
        volume=Volume(values=values, grid=grid, modality=modality),
        facts=facts,
        digest=file.digest,
        findings=tuple(findings),
    )


def compact_values(values: NDArray[Any], *, where: str) -> NDArray[Any]:
    """Return int16 where every value is a whole number that fits, else float32.

    Raises
    ------
    NonFiniteError
        On NaN, infinity, or values beyond float32.
    """
    limits = np.iinfo(np.int16)
    if np.issubdtype(values.dtype, np.floating):
        if not np.isfinite(values).all() or np.abs(values).max() > np.finfo(np.float32).max:
            raise NonFiniteError(
                expected="finite voxel values",
                given="NaN, infinity or overflow",
                where=where,
                action="export the image again",
            )
        if not np.array_equal(values, np.rint(values)):
            return values.astype(np.float32)
    if values.min() >= limits.min and values.max() <= limits.max:
        return values.astype(np.int16)
    return values.astype(np.float32)


def _straighten(
    stored: StoredArray, values: NDArray[Any], *, fill: float, resample: bool, where: str
) -> tuple[NDArray[Any], FloatArray, int, list[Finding]]:
    """Return values on orthogonal axes, resampled where the file's axes lean and that was allowed."""
    affine = stored.lps_from_ijk
    slice_axis = derive_slice_axis(affine)
    lean = measure_shear(affine)
    if lean <= ORTHOGONALITY_TOLERANCE:
        return values, affine, slice_axis, []
    tilt_deg = float(np.degrees(np.arcsin(min(lean, 1.0))))
    if not resample:
        raise GantryTiltError(
            expected="perpendicular voxel axes",
            given=f"axes leaning by {tilt_deg:.2f} degrees",
            where=where,
            action="add --resample to straighten it by explicit resampling, or export the original series",
        )
    target = derive_unsheared_grid(affine, shape=stored.values.shape, slice_axis=slice_axis)
    straight = resample_array(values, lps_from_ijk=affine, target=target, fill=fill)
    message = f"A tilt of {tilt_deg:.1f} degrees was straightened by linear resampling."
    finding = Finding(
        rule="image.resampled",
        severity=Severity.WARNING,
        message=message,
        measured=tilt_deg,
        unit="deg",
        subject=where,
    )
    return straight, target.lps_from_ijk, target.slice_axis, [finding]


def measure_shear(lps_from_ijk: FloatArray) -> float:
    """Return the largest cosine between two voxel axes; 0 where all are perpendicular."""
    columns = lps_from_ijk[:3, :3] / np.linalg.norm(lps_from_ijk[:3, :3], axis=0)
    return float(np.abs(columns.T @ columns - np.eye(3)).max())


def _slice_locations(grid: Grid) -> tuple[float, ...]:
    axis = grid.slice_axis
    index = np.tile((np.array(grid.shape) - 1) / 2, (grid.shape[axis], 1))
    index[:, axis] = np.arange(grid.shape[axis])
    return tuple(float(value) for value in (grid.to_lps_mm(index) @ grid.directions[:, axis]).round(4))


def _describe_modality(modality: str, kind: str, where: str) -> Finding:
    if modality == "CT":
        message = f"{kind} names no modality; taken as CT because values reach {CT_BELOW} and below."
        return Finding(rule="image.modality_assumed", severity=Severity.INFO, message=message, subject=where)
    message = f"{kind} names no modality, and the values are no CT numbers (none at {CT_BELOW} or below)."
    return Finding(rule="image.modality_unknown", severity=Severity.WARNING, message=message, subject=where)


def _describe_padding(low: NDArray[np.bool_], where: str) -> Finding:
    return Finding(
        rule="image.padding",
        severity=Severity.INFO,
        message=f"{int(np.count_nonzero(low))} voxels below {AIR_HU} HU were set to {AIR_HU} HU.",
        measured=float(low.mean()),
        unit="fraction",
        subject=where,
    )
