"""The plan: how much (dose), which way (path), joined in plan.py; published rules as data in tables."""
