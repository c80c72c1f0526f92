"""Limits of the response criteria as evidence data."""
