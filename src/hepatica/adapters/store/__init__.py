"""The record on disk: database rows, content-addressed files, backup."""
