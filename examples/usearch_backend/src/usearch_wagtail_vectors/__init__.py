"""Approximate search by USearch for Wagtail Vector Index."""

# Keep this file light: it is imported with plugin.py whenever plugins are looked for.
