"""Writes source objects to the index tables, and from there to vector backends."""
