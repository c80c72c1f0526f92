"""Use cases, one small file per verb, and the ports they need."""
