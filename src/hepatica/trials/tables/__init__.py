"""Censoring rules and conformance rules as data."""
