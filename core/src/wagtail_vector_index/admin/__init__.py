"""Pages in the Wagtail admin, and the panel for page editors.

Django's own admin imports this package wherever it is installed, so that nothing is
imported here.
"""
