"""The synthetic torso, under the name the benchmarks use."""

from hepatica.workflows.bench_torso import Torso, make_torso

__all__ = ["Torso", "make_torso"]
