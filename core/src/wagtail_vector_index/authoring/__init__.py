"""Starts the distribution of a new backend: its names, and the files that are written."""
