"""Endpoints of a subject over time: response, duration, progression-free and overall survival."""
