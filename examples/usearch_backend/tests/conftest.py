from __future__ import annotations

from django.conf import settings

settings.configure(
    WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS={
        "default": {"BACKEND": "usearch", "PATH": "usearch.sqlite3"},
    },
)
