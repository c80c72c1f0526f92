"""Adverse events: grades by named scales, dose-limiting toxicity, exposure log."""
