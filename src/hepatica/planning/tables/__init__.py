"""Published rules and defaults as data, each with its source and status."""
