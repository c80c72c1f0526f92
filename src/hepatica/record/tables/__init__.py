"""Rights as data."""
