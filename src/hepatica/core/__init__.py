"""The words every room shares: space, units, evidence, findings, failures, provenance."""
