"""Labels in DICOM: SEG, RTSTRUCT and mask series, also mixed in one folder or archive."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from hepatica.adapters.dicom.headers import SliceRecord, quiet_pydicom, read_dataset, read_headers
from hepatica.adapters.dicom.mask_series_reader import name_mask_series, read_mask_series
from hepatica.adapters.dicom.rtstruct_reader import read_rois
from hepatica.adapters.dicom.seg_reader import read_segments
from hepatica.adapters.dicom.series import ImageGroup, find_groups
from hepatica.core.errors import EmptyLabelError, SourceFormatError, refuse_unreadable
from hepatica.core.findings import Finding, Severity
from hepatica.core.progress import Progress
from hepatica.core.provenance import digest_bytes
from hepatica.imaging.placement import place_masks
from hepatica.workflows.ports import FileTree, LabelSet, NamedMask, ReadImage


class DicomLabelReader:
    """Reads DICOM SEG, RTSTRUCT and mask series onto the grid of a scan.

    Parameters
    ----------
    open_tree
        Opens a path as a tree of files.
    """

    def __init__(self, open_tree: Callable[[Path], FileTree]) -> None:
        self._open_tree = open_tree

    def read_labels(
        self,
        path: Path,
        *,
        reference: ReadImage,
        names: Mapping[int, str] | None = None,
        progress: Progress,
    ) -> LabelSet:
        """Read every structure of a file, folder or archive.

        Parameters
        ----------
        path
            SEG or RTSTRUCT file, or a folder or zip of them or of mask series; image series beside them are
            left out.
        reference
            The scan whose grid is wanted.
        names
            Not used: DICOM carries its own names.

        Raises
        ------
        FrameMismatchError
            If a structure was drawn in another frame of reference, or fits no frame.
        EmptyLabelError
            If no structure has a voxel inside the scan.
        SourceFormatError
            If a file is damaged, or nothing holds labels.
        """
        progress.stage("reading label headers")
        with quiet_pydicom(), self._open_tree(path) as tree:
            index = read_headers(tree)
            if index.unreadable:
                raise SourceFormatError(
                    expected="complete DICOM files",
                    given=f"{index.unreadable[0]} cannot be read",
                    action="copy or export the files again",
                )
            groups = find_groups(index, tree)
            work = _LabelWork(tree=tree, path=path, reference=reference, progress=progress)
            for group in groups:
                if group.role == "segmentation":
                    work.add_segmentations(group.records)
                elif group.role == "contours":
                    work.add_contours(group.records)
            work.add_mask_series([group for group in groups if group.role == "mask"])
        return work.finish(groups)


class _LabelWork:
    """What one call collects."""

    def __init__(self, *, tree: FileTree, path: Path, reference: ReadImage, progress: Progress) -> None:
        self._tree = tree
        self._path = path
        self._reference = reference
        self._progress = progress
        self._masks: list[NamedMask] = []
        self._findings: list[Finding] = []
        self._digests: list[str] = []
        self._formats: list[str] = []

    def add_segmentations(self, records: Iterable[SliceRecord]) -> None:
        grid = self._reference.volume.grid
        for record in records:
            dataset, data = read_dataset(self._tree, record.entry)
            where = record.entry.position
            with refuse_unreadable(expected="a complete DICOM SEG", where=where):
                segments, findings = read_segments(
                    dataset, reference=grid, where=where, progress=self._progress
                )
            self._note("DICOM SEG", digest_bytes(data), findings)
            if segments:
                hints = {segment.label: segment.meaning for segment in segments}
                placement = place_masks(
                    [(segment.label, segment.mask) for segment in segments], reference=grid, where=where
                )
                self._findings.extend(placement.findings)
                self._masks.extend(
                    NamedMask(name=each.name, mask=each.mask, kind_hint=hints[each.name])
                    for each in placement.placed
                )

    def add_contours(self, records: Iterable[SliceRecord]) -> None:
        for record in records:
            dataset, data = read_dataset(self._tree, record.entry)
            where = record.entry.position
            with refuse_unreadable(expected="a complete RT Structure Set", where=where):
                rois, findings = read_rois(
                    dataset,
                    reference=self._reference.volume.grid,
                    known_instances=self._reference.facts.sop_instance_uids,
                    where=where,
                    progress=self._progress,
                )
            self._note("DICOM RTSTRUCT", digest_bytes(data), findings)
            self._masks.extend(NamedMask(name=roi.name, mask=roi.mask, kind_hint=roi.meaning) for roi in rois)

    def add_mask_series(self, groups: list[ImageGroup]) -> None:
        for group, name in zip(groups, name_mask_series(groups, path=self._path), strict=True):
            where = f"mask '{name}'"
            mask, digest, findings = read_mask_series(self._tree, group, where=where, progress=self._progress)
            self._note("DICOM mask series", digest, findings)
            if mask is None:
                self._findings.append(
                    Finding(
                        rule="labels.empty_segment",
                        severity=Severity.WARNING,
                        message=f"'{name}' has no voxel.",
                        subject=name,
                    )
                )
                continue
            placement = place_masks([(name, mask)], reference=self._reference.volume.grid, where=where)
            self._findings.extend(placement.findings)
            self._masks.extend(NamedMask(name=each.name, mask=each.mask) for each in placement.placed)

    def finish(self, groups: Iterable[ImageGroup]) -> LabelSet:
        if not self._formats:
            found = ", ".join(sorted({group.role for group in groups})) or "nothing"
            raise SourceFormatError(
                expected="a DICOM SEG, an RTSTRUCT or mask series",
                given=f"only: {found}",
                action="check the --labels path",
            )
        if not self._masks:
            raise EmptyLabelError(
                expected="at least one labelled voxel inside the scan",
                given="0 voxels",
                action="check that labels and scan belong together",
            )
        return LabelSet(
            masks=tuple(self._masks),
            digest=digest_bytes("".join(sorted(self._digests)).encode()),
            format=", ".join(dict.fromkeys(self._formats)),
            findings=tuple(self._findings),
        )

    def _note(self, kind: str, digest: str, findings: Iterable[Finding]) -> None:
        self._formats.append(kind)
        self._digests.append(digest)
        self._findings.extend(findings)
