"""NIfTI, NRRD and MetaImage in."""
