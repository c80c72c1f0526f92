"""DICOM in and out; the only place that knows pydicom and highdicom."""
