"""Simulated trials in blocks with their own random stream: any number of workers, the same bytes."""
