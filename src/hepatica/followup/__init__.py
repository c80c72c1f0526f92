"""Follow-up: lesions over time, response by each criterion, best response. Pure functions over records."""
