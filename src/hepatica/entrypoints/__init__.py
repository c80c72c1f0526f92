"""Ways in: parse, call one workflow, render."""
