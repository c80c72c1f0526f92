"""Where the needle goes, and what it passes."""
