"""Settings for the tests of all distributions: a Wagtail site on SQLite."""

import os
import tempfile
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent

SECRET_KEY = "for tests only"
USE_TZ = True
TIME_ZONE = "Europe/Amsterdam"
ROOT_URLCONF = "tests.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
# The default one is slow on purpose.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STATIC_URL = "/static/"
MEDIA_URL = "/media/"
ALLOWED_HOSTS = ["*"]


def sqlite(alias):
    """A database in a file, as sites have them.

    In memory, SQLite does not wait for another thread: it fails with "table is locked".
    """
    file = Path(tempfile.gettempdir(), f"test_{os.getpid()}_{alias}.sqlite3")
    options = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
    }
    return {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": options,
        "TEST": {"NAME": str(file)},
    }


DATABASES = {alias: sqlite(alias) for alias in ["default", "other"]}
DATABASE_ROUTERS = ["tests.testapp.routers.OtherRouter"]

INSTALLED_APPS = [
    "tests.testapp",
    "wagtail_vector_index",
    "wagtail_vector_index.backends.pgvector",
    "wagtail.contrib.table_block",
    "wagtail.contrib.typed_table_block",
    "wagtail.embeds",
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
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

#: The apps of a site that starts in a third of the time.
FEWEST_APPS = [
    "wagtail_vector_index",
    "wagtail_vector_index.backends.pgvector",
    "wagtail.search",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
]

MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

WAGTAIL_SITE_NAME = "Tests"
WAGTAILADMIN_BASE_URL = "http://localhost"
WAGTAIL_I18N_ENABLED = True
WAGTAIL_CONTENT_LANGUAGES = LANGUAGES = [("en", "English"), ("nl", "Dutch")]

WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": {"BACKEND": "numpy"}}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings"},
}

# Tests of what changes do switch it on.
WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = False

# Tests that search for words use the fixture `full_text`.
TASKS = {"default": {"BACKEND": "tests.testapp.tasks.OursAtOnce"}}
