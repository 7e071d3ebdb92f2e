"""Settings of the benchmarks' site, on SQLite in a file, in WAL mode like real sites.

BENCHMARK_DATABASE is the path of the file, or the URL of a PostgreSQL database.
"""

import json
import os

from tests.postgres import database_at

SECRET_KEY = "for benchmarks only"
USE_TZ = True
ROOT_URLCONF = "benchmarks.website.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["*"]

DATABASE = os.environ.get("BENCHMARK_DATABASE", ":memory:")
VECTOR_BACKEND = os.environ.get("BENCHMARK_VECTOR_BACKEND", "numpy")
VECTOR_OPTIONS = json.loads(os.environ.get("BENCHMARK_VECTOR_OPTIONS", "{}"))
if VECTOR_BACKEND == "numpy":
    # Only benchmarks that name a folder measure processes that share their memory.
    VECTOR_OPTIONS.setdefault("SNAPSHOT_FOLDER", None)
EMBEDDING_BACKEND = os.environ.get(
    "BENCHMARK_EMBEDDING_BACKEND", "benchmarks.website.embeddings.HashEmbeddings"
)
EMBEDDING_OPTIONS = json.loads(os.environ.get("BENCHMARK_EMBEDDING_OPTIONS", "{}"))

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATABASE,
    "OPTIONS": {
        "transaction_mode": "IMMEDIATE",
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    },
}
DATABASES = {"default": database_at(DATABASE) if "://" in DATABASE else SQLITE}

INSTALLED_APPS = [
    "benchmarks.website",
    "wagtail_vector_index",
    *(["wagtail_vector_index.backends.pgvector"] if VECTOR_BACKEND == "pgvector" else []),
    "wagtail.sites",
    "wagtail.users",
    "wagtail.snippets",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

WAGTAIL_SITE_NAME = "Benchmarks"
WAGTAILADMIN_BASE_URL = "http://localhost"

WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": {"BACKEND": VECTOR_BACKEND, **VECTOR_OPTIONS}}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {"BACKEND": EMBEDDING_BACKEND, **EMBEDDING_OPTIONS},
}
if "BENCHMARK_SERVICE" in os.environ:
    WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS["default"] = {
        "BACKEND": "openai",
        "HOST": os.environ["BENCHMARK_SERVICE"],
        "MODEL": "hash",
        "DIMENSIONS": 384,
        "BATCH_SIZE": int(os.environ["BENCHMARK_SERVICE_BATCH_SIZE"]),
        "CONCURRENCY": int(os.environ["BENCHMARK_SERVICE_CONCURRENCY"]),
    }
