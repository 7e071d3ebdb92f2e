"""Pages in the Wagtail admin, and the panel for page editors.

Where Django's own admin is installed, it imports this package at start-up. So nothing is
imported here.
"""
