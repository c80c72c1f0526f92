"""Conformance rules as data: one TOML file for each part of a trial."""
