"""A site to upgrade, in the database that UPGRADE_DATABASE tells as JSON, of UPGRADE_VENDOR.

UPGRADE_PROJECT is a folder with more of the site: an app ``blog`` and a file ``settings.py``.
"""

import json
import os
import sys
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings import FEWEST_APPS

DATABASES = {"default": json.loads(os.environ["UPGRADE_DATABASE"])}
DATABASE_ROUTERS = []
INSTALLED_APPS = [*FEWEST_APPS]
MIDDLEWARE = []
ROOT_URLCONF = "wagtail.urls"
TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
if os.environ["UPGRADE_VENDOR"] == "postgresql":
    INSTALLED_APPS.append("django.contrib.postgres")
if "UPGRADE_WITHOUT_OURS" in os.environ:
    INSTALLED_APPS.remove("wagtail_vector_index")
    INSTALLED_APPS.remove("wagtail_vector_index.backends.pgvector")
if "UPGRADE_PROJECT" in os.environ:
    project = Path(os.environ["UPGRADE_PROJECT"])
    sys.path.insert(0, str(project))
    INSTALLED_APPS.insert(0, "blog")
    exec((project / "settings.py").read_text(encoding="utf-8"))
