"""Calls the hooks that run while an index works, plugin by plugin."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pluggy
from django.conf import settings

from ..exceptions import ConfigurationError
from .discovery import Registry, registry

if TYPE_CHECKING:
    from ..indexes import VectorIndex
    from ..indexing.preparing import PreparedDocument

DISABLED_PLUGINS_SETTING = "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS"

logger = logging.getLogger(__name__)


def active_registry() -> Registry:
    """The plugins of this site: those installed, less those its settings switch off."""
    disabled = getattr(settings, DISABLED_PLUGINS_SETTING, ())
    if isinstance(disabled, str) or not all(isinstance(name, str) for name in disabled):
        raise ConfigurationError(
            f"{DISABLED_PLUGINS_SETTING} must be a list of plugin names, not {disabled!r}."
        )
    return registry(disabled)


def prepare_documents(index: VectorIndex, documents: Sequence[PreparedDocument]) -> Sequence[PreparedDocument]:
    """Let each plugin in turn redact or enrich the documents of one object."""
    for _, hook in _callers("documents_prepared"):
        for result in hook(index=index, documents=documents):
            documents = result
    return documents


def notify(hook_name: str, **arguments: Any) -> None:
    """Tell every plugin what happened; one that fails is logged and harms no other."""
    for name, hook in _callers(hook_name):
        try:
            hook(**arguments)
        except Exception:
            logger.exception("%s of plugin %s failed.", hook_name, name)


def _callers(hook_name: str) -> Iterator[tuple[str, pluggy.HookCaller]]:
    manager = active_registry().hooks
    everyone = manager.get_plugins()
    for implementation in reversed(getattr(manager.hook, hook_name).get_hookimpls()):
        others = everyone - {implementation.plugin}
        yield implementation.plugin_name, manager.subset_hook_caller(hook_name, others)
