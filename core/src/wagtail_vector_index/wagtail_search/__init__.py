"""A backend for Wagtail's own search that finds objects by meaning, in a vector index.

::

    WAGTAILSEARCH_BACKENDS = {
        "default": {"BACKEND": "wagtail.search.backends.database"},
        "semantic": {"BACKEND": "wagtail_vector_index.wagtail_search", "INDEX": "blog.SiteIndex"},
    }

    BlogPage.objects.descendant_of(section).search("how do I bake bread?", backend="semantic")
"""

from .backend import SearchBackendOptions, SemanticSearchBackend

__all__ = ["SearchBackend", "SearchBackendOptions", "SemanticSearchBackend"]

#: Wagtail looks for the class under this name.
SearchBackend = SemanticSearchBackend
