"""A site of its own for what must run in a process of its own; MIGRATED_DATABASE tells where."""

import json
import os

SECRET_KEY = "for tests only"
USE_TZ = True
DATABASES = {"default": json.loads(os.environ["MIGRATED_DATABASE"])}
WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = json.loads(
    os.environ.get("VECTOR_BACKENDS", '{"default": {"BACKEND": "pgvector"}}')
)
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "wagtail_vector_index.backends.pgvector",
]
