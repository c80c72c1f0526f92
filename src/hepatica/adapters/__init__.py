"""The world: files, DICOM, NIfTI, reports. Each adapter implements ports; none knows another."""
