"""Searches, which turn a query into a ranking of source objects."""
