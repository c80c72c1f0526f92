"""Dose protocols as data: one TOML file each."""
