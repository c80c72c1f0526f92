"""Kinds of long work, one module each, which defines it as ``JOB``; a new module is a new kind.

The web process reads these modules to check requests, so they import what computes inside their functions.
"""
