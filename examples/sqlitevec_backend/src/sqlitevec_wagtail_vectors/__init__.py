"""Search by sqlite-vec, in one file, for Wagtail Vector Index."""

# Keep imports out of this file: discovery imports it together with plugin.py.
