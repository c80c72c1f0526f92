"""Data shipped in the wheel."""
