"""The tests' site for the kill test: a database, a vector backend and a log from outside."""

import os
from pathlib import Path

from tests.settings_file import *  # noqa: F403
from tests.settings_file import DATABASES, INSTALLED_APPS

if DATABASES["default"]["ENGINE"].endswith("sqlite3"):
    # Wagtail's own transactions read before they write.
    DATABASES["default"]["OPTIONS"] |= {"transaction_mode": "IMMEDIATE", "timeout": 60}

INSTALLED_APPS = ["tests.killing", *INSTALLED_APPS]
FOLDER = Path(os.environ["KILL_FOLDER"])
MEDIA_ROOT = FOLDER / "media"
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
        "MODEL": os.environ.get("TEST_MODEL", "words"),
    },
}
WAGTAIL_VECTOR_INDEX_OWNER = os.environ.get("TEST_OWNER", "")
# Changes are noted, and left to the indexers: this queue runs nothing.
WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
SILENCED_SYSTEM_CHECKS = ["wagtail_vector_index.E001"]
