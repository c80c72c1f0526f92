"""Processes that work for the server: everything that computes runs here."""
