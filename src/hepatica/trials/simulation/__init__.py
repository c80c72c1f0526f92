"""Simulated trials: blocks of trials with their own random stream, so that any number of workers gives the same bytes."""
