"""Settings of the demo site. Use them only for a demonstration on your own machine."""

import os
from pathlib import Path

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from wagtail_vector_index.plugins import django_apps

PROJECT = Path(__file__).resolve().parent
DATA = PROJECT.parent / ".data"
DATA.mkdir(exist_ok=True)

# Settings that a site adds for Wagtail Vector Index

INSTALLED_APPS = [
    "vectordemo",
    "wagtail_vector_index",
    *django_apps(),
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
    "django_filters",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# `run.py --backend` chooses one of these.
VECTOR_BACKENDS = {
    "numpy": {"BACKEND": "numpy"},
    "pgvector": {"BACKEND": "pgvector"},
    "qdrant": {"BACKEND": "qdrant", "LOCATION": ":memory:"},
}
BACKEND = os.environ.get("DEMO_BACKEND", "numpy")
if BACKEND not in VECTOR_BACKENDS:
    raise ImproperlyConfigured(
        f"DEMO_BACKEND is {BACKEND!r}, but must be one of: {', '.join(VECTOR_BACKENDS)}."
    )
WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": VECTOR_BACKENDS[BACKEND]}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {"default": {"BACKEND": "wordllama"}}

# Settings of any Wagtail site

SECRET_KEY = "only-for-a-demonstration-on-this-machine"
DEBUG = True
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

ROOT_URLCONF = "vectordemo.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.debug",
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "vectordemo.context.sections",
            ],
        },
    },
]

SQLITE = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": DATA / "demo.sqlite3",
    "OPTIONS": {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        "transaction_mode": "IMMEDIATE",
    },
}
# `run.py --database` sets another database.
URL = os.environ.get("DEMO_DATABASE")
DATABASES = {"default": dj_database_url.parse(URL) if URL else SQLITE}

LANGUAGE_CODE = "en-gb"
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
MEDIA_URL = "/media/"
MEDIA_ROOT = DATA / "media"
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"

# The longest page has some 700 blocks, each with several form fields.
DATA_UPLOAD_MAX_NUMBER_FIELDS = 50_000

WAGTAIL_SITE_NAME = "Wagtail Vector Index demo"
WAGTAILADMIN_BASE_URL = "http://127.0.0.1:8000"
WAGTAILSEARCH_BACKENDS = {"default": {"BACKEND": "wagtail.search.backends.database"}}

# The demo must not call other machines.
WAGTAIL_ENABLE_UPDATE_CHECK = False
WAGTAIL_ENABLE_WHATS_NEW_BANNER = False
WAGTAIL_GRAVATAR_PROVIDER_URL = None
