"""The small site, which keeps its vectors and a log in a folder that tests can read."""

import os
from pathlib import Path

from tests.settings_file import *  # noqa: F403

FOLDER = Path(os.environ["SITE_FOLDER"])
WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
    "default": {
        "numpy": {"BACKEND": "numpy"},
        "folder": {
            "BACKEND": "tests.killing.backends.FolderBackend",
            "FOLDER": str(FOLDER / "vectors"),
        },
        "pgvector": {"BACKEND": "pgvector"},
    }[os.environ["SITE_BACKEND"]]
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
