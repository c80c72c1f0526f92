"""Visit schedules as data: one TOML file each."""
