"""Trials: dose escalation, phase II, endpoints and simulated trials, as pure functions of counts and arrays."""
