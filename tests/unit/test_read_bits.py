"""Single-bit frames follow each other without a gap, also inside a byte."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from hepatica.adapters.dicom.pixels import decode_stored


@pytest.mark.parametrize("shape", [(17, 22), (8, 8), (5, 3), (1, 1)])
def test_every_frame_of_single_bits_is_read_whatever_its_size(shape):
    rows, columns = shape
    bits = np.random.default_rng(3).integers(0, 2, (9, rows, columns), dtype=np.uint8)
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.Rows, image.Columns, image.NumberOfFrames, image.SamplesPerPixel = rows, columns, 9, 1
    image.BitsAllocated, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.PixelData = np.packbits(bits, bitorder="little").tobytes()
    for number in range(9):
        assert np.array_equal(decode_stored(image, frame=number, where="a file"), bits[number])
