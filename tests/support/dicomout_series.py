"""A scan as stored DICOM headers in any orientation, for tests of the DICOM writers."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from phantom import Phantom, make_context
from pydicom.config import disable_value_validation
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, EnhancedCTImageStorage, ExplicitVRLittleEndian

from hepatica.anatomy.structures import Anatomy, Origin, StructureKind, StructureSource
from hepatica.core.geometry import Grid
from hepatica.core.provenance import derive_uid
from hepatica.imaging.mask import Mask
from hepatica.imaging.volume import Volume
from hepatica.lesions.lesion import ViablePart
from hepatica.workflows.ports import ImageFacts, PlanContext, ReadImage

SERIES_UID = "2.25.777"
STUDY_UID = "2.25.888"
SOURCE = Path("scan")

AXIAL = (0, 1, 2)
"""Grid axes of columns, rows and slices."""
SAGITTAL = (1, 2, 0)
CORONAL = (0, 2, 1)


def make_headers(grid, *, axes=AXIAL, flips=(False, False, False), position="HFS", frame=None, **extra):
    """Yield one CT header for each slice of a grid, rows, columns and instance order flipped as asked."""
    column_axis, row_axis, slice_axis = axes
    column_flip, row_flip, slice_flip = flips
    directions, spacing = grid.directions, grid.spacing_mm
    along = directions[:, column_axis] * (-1 if column_flip else 1)
    down = directions[:, row_axis] * (-1 if row_flip else 1)
    for number in range(grid.shape[slice_axis]):
        index = np.zeros(3)
        index[slice_axis] = grid.shape[slice_axis] - 1 - number if slice_flip else number
        index[column_axis] = grid.shape[column_axis] - 1 if column_flip else 0
        index[row_axis] = grid.shape[row_axis] - 1 if row_flip else 0
        header = Dataset()
        header.SOPClassUID = CTImageStorage
        header.SOPInstanceUID = derive_uid("test", str(number))
        header.SeriesInstanceUID, header.StudyInstanceUID = SERIES_UID, STUDY_UID
        header.Modality, header.PatientName, header.PatientID = "CT", "Test^Person", "ID-1"
        header.PatientBirthDate, header.PatientSex = "19500101", "O"
        header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = (
            "20260101",
            "101112",
            "S1",
            "A1",
        )
        header.ReferringPhysicianName = ""
        header.PatientPosition = position
        header.InstanceNumber = number + 1
        header.AcquisitionNumber = 1
        if frame:
            header.FrameOfReferenceUID = frame
            header.PositionReferenceIndicator = ""
        header.Rows, header.Columns = grid.shape[row_axis], grid.shape[column_axis]
        header.PixelSpacing = [float(spacing[row_axis]), float(spacing[column_axis])]
        header.SliceThickness = float(spacing[slice_axis])
        header.ImagePositionPatient = [round(float(c), 5) for c in grid.to_lps_mm(index)]
        header.ImageOrientationPatient = [round(float(c), 8) for c in (*along, *down)]
        for keyword, value in extra.items():
            if value is None:
                delattr(header, keyword)
                continue
            with disable_value_validation():
                setattr(header, keyword, value)
        yield header


def make_multi_frame(headers):
    """Join single-frame headers into one Enhanced CT header with the planes in its functional groups."""
    scan = headers[0]
    scan.SOPClassUID = EnhancedCTImageStorage
    scan.NumberOfFrames = len(headers)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness = scan.PixelSpacing, scan.SliceThickness
    orientation.ImageOrientationPatient = scan.ImageOrientationPatient
    shared = Dataset()
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = [measures], [orientation]
    scan.SharedFunctionalGroupsSequence = [shared]
    groups = []
    for header in headers:
        position, group = Dataset(), Dataset()
        position.ImagePositionPatient = header.ImagePositionPatient
        group.PlanePositionSequence = [position]
        groups.append(group)
    scan.PerFrameFunctionalGroupsSequence = groups
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(scan, keyword)
    return scan


def to_files(headers) -> list[tuple[str, bytes]]:
    """Store headers as DICOM files without pixels, in an order that is not the slices' order."""
    files = []
    for header in headers:
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID
        header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
        buffer = io.BytesIO()
        with disable_value_validation():
            header.save_as(buffer, enforce_file_format=True)
        files.append((f"{hash_name(header)}", buffer.getvalue()))
    return sorted(files)


def hash_name(header) -> str:
    """File name that says nothing about the order."""
    return derive_uid("name", header.SOPInstanceUID)[-12:]


def make_read_files(files):
    """Make the callable the writers read the source through."""

    def read_files(path: Path) -> Iterator[tuple[str, bytes]]:
        yield ("README.txt", b"not a DICOM file")
        yield from files

    return read_files


def make_dicom_context(phantom: Phantom, *, frame: str = "", series_uid: str = SERIES_UID) -> PlanContext:
    """Return the phantom's context with a DICOM source."""
    context = make_context(phantom)
    facts = ImageFacts(
        format="DICOM",
        series_uid=series_uid,
        study_uid=STUDY_UID,
        frame_of_reference=frame,
        source=SOURCE,
        patient_position="HFS",
    )
    image = ReadImage(volume=phantom.volume, facts=facts, digest="1" * 64)
    return replace(context, image=image)


def make_small_context(
    *, spacing_mm=(1.5, 2.0, 3.0), directions=None, slice_axis=2, frame="2.25.5"
) -> PlanContext:
    """Return a plan on a small grid with lopsided structures, so that any flip or swap of axes shows."""
    shape = (22, 17, 9)
    grid = Grid.from_axes(
        shape=shape,
        spacing_mm=spacing_mm,
        origin_lps_mm=(-31.0, 12.0, 45.0),
        directions=directions,
        frame_of_reference=frame or None,
        slice_axis=slice_axis,
    )
    i, j, k = np.indices(shape)
    parts = {
        StructureKind.LIVER: (i > 3) & (j > 5) & (k > 1) & (i + 2 * j + 3 * k < 60),
        StructureKind.PORTAL_VEIN: (abs(i - 2 * k) < 2) & (j > 11),
        StructureKind.BONE: (i < 3) & (j < 4) & (k < 5),
    }
    lesion = (i > 5) & (i < 12) & (j > 6) & (j < 10) & (k > 2) & (k < 5) & (i + j > 15)
    viable = lesion & (i > 8)
    parts[StructureKind.LESION] = lesion
    anatomy = Anatomy(grid=grid, bits=np.zeros(shape, np.uint32, order="F")).with_structures(
        (
            StructureSource(
                kind=kind,
                origin=Origin.DERIVED if kind is StructureKind.BONE else Origin.LABELLED,
                names=(f"my {kind.value}",),
                source="threshold 250 HU" if kind is StructureKind.BONE else "labels[0]",
            ),
            Mask.from_full(np.asfortranarray(part), grid=grid),
        )
        for kind, part in parts.items()
    )
    base = make_context()
    living = Mask.from_full(np.asfortranarray(viable), grid=grid)
    one = replace(
        base.plan.lesions[0],
        mask=Mask.from_full(np.asfortranarray(lesion), grid=grid),
        viable=ViablePart(
            low=living, middle=living, high=living, origin="derived, not reviewed", method="two phases"
        ),
    )
    volume = Volume(values=np.zeros(shape, np.int16, order="F"), grid=grid)
    facts = ImageFacts(
        format="DICOM",
        series_uid=SERIES_UID,
        study_uid=STUDY_UID,
        frame_of_reference=frame,
        source=SOURCE,
        patient_position="HFS",
    )
    return replace(
        base,
        plan=replace(base.plan, lesions=(one,)),
        anatomy=anatomy,
        image=ReadImage(volume=volume, facts=facts, digest="3" * 64),
    )
