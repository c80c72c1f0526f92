"""Benchmarks: whole commands in their own process, wall beside CPU seconds and peak memory."""
