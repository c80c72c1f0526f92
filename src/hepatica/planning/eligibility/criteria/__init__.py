"""The eligibility criteria: each function answers one and declares its name."""
