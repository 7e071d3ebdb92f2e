"""The tests' site for the kill test: a database, a vector backend and a log from outside."""

import json
import os
from pathlib import Path

from tests.settings import *  # noqa: F403
from tests.settings_file import WithoutMigrations

if "DATABASE_SERVER" in os.environ:
    database = json.loads(os.environ["DATABASE_SERVER"])
else:
    database = {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["TEST_DATABASE"],
        "OPTIONS": {
            # Wagtail's own transactions read before they write.
            "transaction_mode": "IMMEDIATE",
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            "timeout": 60,
        },
    }
DATABASES = {"default": database}
DATABASE_ROUTERS = []
MIGRATION_MODULES = WithoutMigrations()

FOLDER = Path(os.environ["KILL_FOLDER"])
WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
    "default": {
        "numpy": {"BACKEND": "numpy"},
        "folder": {
            "BACKEND": "tests.killing.backends.FolderBackend",
            "FOLDER": str(FOLDER / "vectors"),
        },
        "pgvector": {"BACKEND": "pgvector"},
    }[os.environ["KILL_BACKEND"]]
}
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {
        "BACKEND": "tests.killing.backends.LoggedEmbeddings",
        "LOG": str(FOLDER / "embeddings.log"),
    },
}
# Changes are noted, and left to the indexers: this queue runs nothing.
WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
SILENCED_SYSTEM_CHECKS = ["wagtail_vector_index.E001"]
