"""The tests' settings with a database of its own, for tests of real servers."""

from tests.settings_file import *  # noqa: F403

WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
    "default": {"BACKEND": "tests.serving.ToldWhenClosed"},
}
WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
