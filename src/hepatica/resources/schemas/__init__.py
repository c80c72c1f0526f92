"""Published JSON Schemas of what Hepatica writes and reads."""
