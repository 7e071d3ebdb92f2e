"""Settings of a small site, with a database that several processes share.

It starts in a third of the time of the tests' own site. The database is the SQLite file in
TEST_DATABASE, or that in TEST_DATABASE_SETTINGS, as JSON.
"""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import FEWEST_APPS

INSTALLED_APPS = ["tests.notes", *FEWEST_APPS]
MIDDLEWARE = []
ROOT_URLCONF = "tests.serving"


class WithoutMigrations(dict):
    """Makes the tables of every app from its models."""

    def __contains__(self, app):
        return True

    def __getitem__(self, app):
        return None


if "TEST_DATABASE_SETTINGS" in os.environ:
    database = json.loads(os.environ["TEST_DATABASE_SETTINGS"])
    INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.postgres"]
else:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["TEST_DATABASE"],
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL;", "timeout": 30},
    }
DATABASES = {"default": database}
DATABASE_ROUTERS = []
MIGRATION_MODULES = WithoutMigrations()
