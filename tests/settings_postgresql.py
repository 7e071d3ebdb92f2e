"""The tests' settings with the databases in the PostgreSQL server of DATABASE_URL."""

import os

from tests.postgres import database_at
from tests.settings import *  # noqa: F403
from tests.settings import INSTALLED_APPS

server = database_at(os.environ["DATABASE_URL"])
DATABASES = {
    alias: {**server, "NAME": f"site_{alias}", "TEST": {"NAME": f"test_{os.getpid()}_{alias}"}}
    for alias in ["default", "other"]
}
# Wagtail's full-text search on PostgreSQL needs it.
INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.postgres"]
