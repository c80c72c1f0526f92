"""A trial's report: derived data sets, conformance rules, tables and figures as values."""
