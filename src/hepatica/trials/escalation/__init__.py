"""Dose escalation: one file for each published method, found by the name it carries."""

from __future__ import annotations

from hepatica.trials.escalation.catalogue import find_design, list_designs

__all__ = ["find_design", "list_designs"]
