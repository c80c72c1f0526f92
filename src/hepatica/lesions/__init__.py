"""Lesions: which tumours there are, how large, where, and which part of them lives."""
