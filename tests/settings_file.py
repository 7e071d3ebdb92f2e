"""The tests' settings with a database in a file, for tests of several processes."""

import os

from tests.settings import *  # noqa: F403


class WithoutMigrations(dict):
    """Makes the tables of every app from its models."""

    def __contains__(self, app):
        return True

    def __getitem__(self, app):
        return None


DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["TEST_DATABASE"],
        "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL;", "timeout": 30},
    },
}
DATABASE_ROUTERS = []
MIGRATION_MODULES = WithoutMigrations()
