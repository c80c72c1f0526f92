"""What the simulated cohort is made of. Made up for demonstration and for measuring; no clinical claim."""
