"""Small scans written to disk in every shape a reader may meet: DICOM by pydicom, NIfTI by nibabel."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

CT = "1.2.840.10008.5.1.4.1.1.2"
FRAME = "2.25.77"
SHAPE = (11, 8, 6)
SPACING_MM = (2.0, 3.0, 5.0)
ORIGIN_LPS_MM = (-31.0, 12.0, -105.0)
LPS_FROM_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def make_values(shape=SHAPE) -> np.ndarray:
    """An (i, j, k) array in which no turn or flip looks like another: every voxel has its own CT number."""
    return (np.arange(np.prod(shape)).reshape(shape) - 600).astype(np.int16)


def make_affine(spacing_mm=SPACING_MM, origin_lps_mm=ORIGIN_LPS_MM, rotation=None) -> np.ndarray:
    """Affine of the canonical array."""
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if rotation is None else rotation) * np.array(spacing_mm)
    affine[:3, 3] = origin_lps_mm
    return affine


def rotate(angles_deg) -> np.ndarray:
    """Rotation about x, then y, then z."""
    result = np.eye(3)
    for axis, angle in enumerate(np.radians(angles_deg)):
        a, b = [n for n in range(3) if n != axis]
        turn = np.eye(3)
        turn[a, a] = turn[b, b] = np.cos(angle)
        turn[a, b], turn[b, a] = -np.sin(angle), np.sin(angle)
        result = turn @ result
    return result


ORIENTATIONS = tuple(
    (order, flips)
    for order in itertools.permutations(range(3))
    for flips in itertools.product((False, True), repeat=3)
)


def store_as(values, affine, order, flips):
    """Store a canonical array in another axis order: the array and the affine a file would carry."""
    stored, result = values.transpose(order), np.eye(4)
    result[:3, 3] = affine[:3, 3]
    for axis, (source, flip) in enumerate(zip(order, flips, strict=True)):
        step = affine[:3, source]
        if flip:
            stored = np.flip(stored, axis)
            result[:3, 3] += step * (stored.shape[axis] - 1)
            step = -step
        result[:3, axis] = step
    return np.ascontiguousarray(stored), result


def write_nifti(path: Path, values, lps_from_ijk, *, codes=(1, 1), dtype=None) -> Path:
    """Write with nibabel; the affine is given in LPS."""
    import nibabel as nib

    image = nib.Nifti1Image(np.asarray(values, dtype=dtype or values.dtype), LPS_FROM_RAS @ lps_from_ijk)
    image.header.set_xyzt_units("mm")
    image.set_sform(LPS_FROM_RAS @ lps_from_ijk, code=codes[0])
    image.set_qform(LPS_FROM_RAS @ lps_from_ijk, code=codes[1], strip_shears=True)
    nib.save(image, path)
    return path


def write_itk(path: Path, values, lps_from_ijk) -> Path:
    """Write NRRD or MetaImage with SimpleITK."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(values.T))
    spacing = np.linalg.norm(lps_from_ijk[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps_from_ijk[:3, :3] / spacing).ravel().tolist())
    image.SetOrigin(lps_from_ijk[:3, 3].tolist())
    sitk.WriteImage(image, str(path))
    return path


@dataclass(frozen=True)
class DicomOptions:
    """What a written series looks like; every default is the plain case."""

    series_uid: str = "2.25.11"
    study_uid: str = "2.25.10"
    frame: str | None = FRAME
    modality: str = "CT"
    sop_class: str = CT
    description: str = "abdomen"
    acquisition: int | None = 1
    slope: float = 1.0
    intercept: float = -1024.0
    bits: int = 16
    signed: bool = False
    syntax: str = "1.2.840.10008.1.2.1"
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "AXIAL")
    shuffle: int | None = 7
    names: str = "IM{:04d}"
    extra: dict = field(default_factory=dict)
    omit: tuple[str, ...] = ()
    drop: tuple[int, ...] = ()
    shifts_mm: dict = field(default_factory=dict)
    """Extra (x, y, z) of the position of a slice, by its index."""


def make_slice(plane, position, affine, options: DicomOptions, *, number: int):
    """One CT image dataset; ``plane`` is (rows, columns) in modality units."""
    import pydicom
    from pydicom.dataset import Dataset, FileMetaDataset

    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = options.sop_class
    uid = f"{options.series_uid}.{options.acquisition or 0}.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = uid
    dataset.SOPClassUID, dataset.SOPInstanceUID = options.sop_class, uid
    dataset.SeriesInstanceUID, dataset.StudyInstanceUID = options.series_uid, options.study_uid
    if options.frame:
        dataset.FrameOfReferenceUID = options.frame
    dataset.Modality, dataset.SeriesDescription = options.modality, options.description
    dataset.PatientName, dataset.PatientID = "Secret^Person", "SECRET-4711"
    dataset.StudyDate, dataset.SeriesNumber = "20260101", 3
    dataset.ImageType, dataset.PatientPosition = list(options.image_type), "HFS"
    if options.acquisition is not None:
        dataset.AcquisitionNumber = options.acquisition
    dataset.InstanceNumber = number
    dataset.ImagePositionPatient = [f"{value:.9g}" for value in position]
    dataset.ImageOrientationPatient = [
        f"{value:.9g}" for axis in (0, 1) for value in affine[:3, axis] / spacing[axis]
    ]
    dataset.PixelSpacing = [f"{spacing[1]:.9g}", f"{spacing[0]:.9g}"]
    dataset.SliceThickness = f"{spacing[2]:.9g}"
    dataset.RescaleSlope, dataset.RescaleIntercept = options.slope, options.intercept
    stored = np.rint((np.asarray(plane, float) - options.intercept) / options.slope)
    dtype = np.dtype(f"{'i' if options.signed else 'u'}{options.bits // 8}")
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = *plane.shape, 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = options.bits
    dataset.HighBit, dataset.PixelRepresentation = options.bits - 1, int(options.signed)
    dataset.PixelData = stored.astype(dtype).tobytes()
    for keyword, value in options.extra.items():
        setattr(dataset, keyword, value(number) if callable(value) else value)
    for keyword in options.omit:
        delattr(dataset, keyword)
    if options.syntax != "1.2.840.10008.1.2.1":
        dataset.compress(options.syntax, generate_instance_uid=False)
    return dataset


def write_dicom(folder: Path, values, lps_from_ijk, options: DicomOptions | None = None, **changes) -> Path:
    """Write a series: i along rows, j along columns, k over files; file names say nothing of the order."""
    options = replace(options or DicomOptions(), **changes)
    folder.mkdir(parents=True, exist_ok=True)
    count = values.shape[2]
    names = np.arange(count)
    if options.shuffle is not None:
        names = np.random.default_rng(options.shuffle).permutation(count)
    for k in range(count):
        if k in options.drop:
            continue
        position = (
            lps_from_ijk[:3, 3] + k * lps_from_ijk[:3, 2] + np.array(options.shifts_mm.get(k, (0, 0, 0)))
        )
        dataset = make_slice(values[:, :, k].T, position, lps_from_ijk, options, number=int(names[k]) + 1)
        file = folder / options.names.format(int(names[k]))
        dataset.save_as(file, enforce_file_format=True)
    return folder


def make_readers():
    """Image and label readers of every format, joined as bootstrap does."""
    from hepatica.adapters.dicom.image_reader import DicomImageReader
    from hepatica.adapters.dicom.label_reader import DicomLabelReader
    from hepatica.adapters.files.readers import FormatImageReader, FormatLabelReader
    from hepatica.adapters.files.sniff import SourceFormat
    from hepatica.adapters.files.tree import open_tree
    from hepatica.adapters.nifti.image_reader import VolumeFileImageReader
    from hepatica.adapters.nifti.label_reader import VolumeFileLabelReader

    images = {kind: VolumeFileImageReader(open_tree) for kind in SourceFormat}
    labels = {kind: VolumeFileLabelReader(open_tree) for kind in SourceFormat}
    images[SourceFormat.DICOM] = DicomImageReader(open_tree)
    labels[SourceFormat.DICOM] = DicomLabelReader(open_tree)
    return FormatImageReader(images), FormatLabelReader(labels)
