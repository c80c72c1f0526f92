"""Descriptions of SDTM and ADaM datasets as data: one TOML file for each."""
