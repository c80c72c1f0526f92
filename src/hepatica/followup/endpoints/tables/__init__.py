"""Censoring rules as data."""
