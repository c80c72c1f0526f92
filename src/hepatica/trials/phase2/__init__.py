"""Phase II: designs with one or two stages, inference after them, and intervals for a proportion."""
