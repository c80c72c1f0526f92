"""Intervals and checks of the procedure day as data."""
