"""The names of the settings, and the functions that read single ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

#: The kinds of backends that plugins offer.
BackendKind = Literal["vector", "embedding", "chat", "reranking"]
KINDS: tuple[BackendKind, ...] = get_args(BackendKind)

#: The beginning of the names of all settings.
SETTING_PREFIX = "WAGTAIL_VECTOR_INDEX_"

#: The setting that configures the backends of each kind.
BACKEND_SETTINGS: Mapping[BackendKind, str] = {
    "vector": "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS",
    "embedding": "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS",
    "chat": "WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS",
    "reranking": "WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS",
}

DISABLED_PLUGINS_SETTING = "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS"
AUTO_UPDATE_SETTING = "WAGTAIL_VECTOR_INDEX_AUTO_UPDATE"
OWNER_SETTING = "WAGTAIL_VECTOR_INDEX_OWNER"

#: All settings of this package.
SETTINGS = (
    *BACKEND_SETTINGS.values(),
    DISABLED_PLUGINS_SETTING,
    AUTO_UPDATE_SETTING,
    OWNER_SETTING,
)


def auto_update() -> Any:
    """Return the setting that decides how changes are written: True, False or "inline"."""
    return _setting(AUTO_UPDATE_SETTING, default=True)


def owner() -> Any:
    """Return the setting that names this deployment of the site, or ""."""
    return _setting(OWNER_SETTING, default="")


def disabled_plugins() -> Any:
    """Return the setting that lists the names of plugins to leave out."""
    return _setting(DISABLED_PLUGINS_SETTING, default=())


def _setting(name: str, *, default: Any) -> Any:
    # Imported here because settings modules import this module, to find plugins.
    from django.conf import settings

    return getattr(settings, name, default)
