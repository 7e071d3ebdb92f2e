"""Declarations of a site, and code that reads them: fields, keys, visibility and text."""
