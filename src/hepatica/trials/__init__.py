"""Trials: dose escalation, phase II, endpoints, simulated trials: pure functions of counts and arrays."""
