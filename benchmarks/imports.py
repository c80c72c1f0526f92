"""Import of 1,000 slices of 512 x 512 into a record, in both modes, in this process."""

from __future__ import annotations

import resource
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.commands import Row

SLICES = 1000
SIZE = 512
BAR = "60 s, 2 cores"


def measure_imports() -> Iterator[Row]:
    """Write one series, then import it into a clinical and into a research record."""
    from hepatica.bootstrap import make_record, make_scan_ports
    from hepatica.record.item import Item
    from hepatica.workflows.change_item import create_item
    from hepatica.workflows.import_scan import import_scan

    folder = Path(tempfile.mkdtemp(prefix="hepatica-bench-"))
    try:
        write_series(folder / "scan")
        for mode in ("clinical", "research"):
            home = folder / mode
            with make_record(home, mode=mode) as record:
                values = {"subject_id": "S-001", "status": "screening"}
                patient = Item(kind="patient", item_id="p", patient_id="p", version=1, values=values)
                with record.context.store.writing() as writer:
                    create_item(record.context, writer, item=patient)
                ports = make_scan_ports(home, mode=mode)
                for run in ("first", "same again"):
                    wall_s, cpu_s = time.perf_counter(), time.process_time()
                    import_scan(record.context, ports, patient_id="p", path=folder / "scan")
                    yield Row(
                        name=f"import of {SLICES} slices, {mode}, {run}",
                        wall_s=time.perf_counter() - wall_s,
                        cpu_s=time.process_time() - cpu_s,
                        peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                        bar=BAR,
                    )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_series(folder: Path) -> None:
    """Write a CT series of noise with a header such as scanners write."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

    folder.mkdir()
    rng = np.random.default_rng(1)
    plane = rng.integers(0, 2000, (SIZE, SIZE), dtype=np.uint16)
    for number in range(SLICES):
        image = Dataset()
        image.file_meta = FileMetaDataset()
        image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        image.file_meta.MediaStorageSOPClassUID = image.SOPClassUID = CTImageStorage
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"2.25.7.{number + 1}"
        image.SeriesInstanceUID, image.StudyInstanceUID, image.FrameOfReferenceUID = (
            "2.25.7",
            "2.25.8",
            "2.25.9",
        )
        image.Modality, image.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        image.PatientName, image.PatientID, image.PatientBirthDate = "Bench^Mark", "B-1", "19500101"
        image.StudyDate, image.InstanceNumber, image.SeriesDescription = (
            "20260101",
            number + 1,
            "venous 1.0 B30f",
        )
        image.InstitutionName, image.ReferringPhysicianName = "Clinic of the bench", "Doctor^Bench"
        image.ImagePositionPatient, image.ImageOrientationPatient = [0, 0, number], [1, 0, 0, 0, 1, 0]
        image.PixelSpacing, image.SliceThickness = [0.7, 0.7], 1
        image.RescaleSlope, image.RescaleIntercept = 1, -1024
        image.Rows = image.Columns = SIZE
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 12, 11, 0
        block = image.private_block(0x0029, "BENCH", create=True)
        for element in range(40):
            block.add_new(element, "LO", f"private value {element}")
        image.PixelData = np.roll(plane, number).tobytes()
        image.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
