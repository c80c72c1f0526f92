"""Visits: what is planned, due, done, missed or out of its window."""
