"""Folders, archives, file kinds, and output that appears all at once or not at all."""
