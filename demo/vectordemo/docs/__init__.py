"""Turns the documentation inside Django's source distribution into pages."""
