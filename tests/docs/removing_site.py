"""A project in the current folder, to remove an index and the package from: its manage.py.

Run by test_removing.py. The environment says whether the package is still installed.
"""

import importlib.abc
import os
import sys
from pathlib import Path

from django.conf import settings
from django.core.management import execute_from_command_line

PACKAGE = "wagtail_vector_index"


class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == PACKAGE:
            raise ModuleNotFoundError(f"{name} is not installed", name=name)


has_package = os.environ["HAS_PACKAGE"] == "1"
if not has_package:
    sys.meta_path.insert(0, NotInstalled())
sys.path.insert(0, str(Path.cwd()))
sys.path.append(str(Path(__file__).parents[2]))
settings.configure(
    INSTALLED_APPS=[
        "recipes",
        *([PACKAGE] if has_package else []),
        "django.contrib.auth",
        "django.contrib.contenttypes",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}},
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
    SECRET_KEY="docs",
    STATIC_URL="/static/",
    USE_TZ=True,
    WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS={
        "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings"}
    },
)
execute_from_command_line(["manage.py", *sys.argv[1:]])
