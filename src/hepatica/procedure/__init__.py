"""The day of the injection: what was checked, given, seen and why it differed from the plan."""
