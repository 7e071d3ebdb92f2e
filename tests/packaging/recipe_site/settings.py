"""A small Wagtail site; SITE_SETTINGS are its settings for the app, as JSON."""

import json
import os

from wagtail_vector_index.plugins import django_apps


class NoMigrations(dict):
    """Tables are made from the models: Wagtail has migrations by the hundred."""

    def __contains__(self, label):
        return True

    def __missing__(self, label):
        return None


INSTALLED_APPS = [
    "recipes",
    "wagtail_vector_index",
    *django_apps(),
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
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
ALLOWED_HOSTS = ["*"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": "site.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE"},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
MIGRATION_MODULES = NoMigrations()
ROOT_URLCONF = "urls"
SECRET_KEY = "packaging"  # of a site that only tests see
STATIC_URL = "/static/"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates"}]
WAGTAILADMIN_BASE_URL = "http://localhost"
WAGTAIL_SITE_NAME = "packaging"

globals().update(json.loads(os.environ["SITE_SETTINGS"]))
