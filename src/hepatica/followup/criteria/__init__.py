"""One file for each response criterion."""
