"""A site to upgrade, in the database that UPGRADE_DATABASE tells as JSON."""

import json
import os

from tests.settings import *  # noqa: F403
from tests.settings import FEWEST_APPS

DATABASES = {"default": json.loads(os.environ["UPGRADE_DATABASE"])}
DATABASE_ROUTERS = []
INSTALLED_APPS = [*FEWEST_APPS]
MIDDLEWARE = []
ROOT_URLCONF = "wagtail.urls"
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
if DATABASES["default"]["ENGINE"].endswith("postgresql"):
    INSTALLED_APPS.append("django.contrib.postgres")
if "UPGRADE_WITHOUT_OURS" in os.environ:
    INSTALLED_APPS.remove("wagtail_vector_index")
    INSTALLED_APPS.remove("wagtail_vector_index.backends.pgvector")
