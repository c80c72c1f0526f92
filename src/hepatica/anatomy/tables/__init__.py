"""Label name tables and thresholds as data."""
