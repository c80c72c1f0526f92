"""Definitions of dose-limiting toxicity as data: one TOML file each."""
