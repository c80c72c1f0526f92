"""Endpoints: survival curves, tests and competing risks from arrays of times."""
