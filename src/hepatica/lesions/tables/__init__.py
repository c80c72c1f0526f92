"""Measured and published variability as data."""
