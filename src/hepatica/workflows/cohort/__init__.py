"""A cohort of simulated patients, told through the record's own use cases."""
