"""Settings of the benchmarks' site: SQLite in a file, in WAL mode as sites run it."""

import os

SECRET_KEY = "for benchmarks only"
USE_TZ = True
ROOT_URLCONF = "benchmarks.website.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
STATIC_URL = "/static/"
ALLOWED_HOSTS = ["*"]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("BENCHMARK_DATABASE", ":memory:"),
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        },
    },
}

INSTALLED_APPS = [
    "benchmarks.website",
    "wagtail_vector_index",
    "wagtail.sites",
    "wagtail.users",
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

WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": {"BACKEND": "numpy"}}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {"BACKEND": "benchmarks.website.embeddings.HashEmbeddings"},
}
