"""The same lesion on another day's scan: registration, assignment, confirmation."""
