"""Keeps texts from being embedded without a plugin that changed the index's texts before.

Such a plugin may redact them. A plugin that cannot be loaded has no hook to call, so an update
would embed the whole index again without it, and only a system check would say so.
"""

from __future__ import annotations

from ..conf import DISABLED_PLUGINS_SETTING
from ..exceptions import PluginBroken
from ..plugins.calling import DocumentHooks, active_registry
from ..wording import sentence
from .plan import live_collections

__all__ = ["check_plugins", "remember_plugins"]


def check_plugins(index_name: str) -> None:
    """Check that all plugins that changed the documents of an index can still be loaded.

    Raises:
        PluginBroken: one of them cannot. Changes wait in the outbox until it works again, or the
            settings disable it.
    """
    registry = active_registry()
    broken = {failure.source.full_name: failure for failure in registry.failures}
    if not broken:
        return  # as nearly always, so nothing is read
    for collection in live_collections(index_name):
        for failure in (broken[name] for name in collection.plugins if name in broken):
            raise PluginBroken(
                f"{sentence(f'The {failure}')} It has changed the texts of {index_name} before they"
                " were embedded, so nothing is embedded without it. Repair it, or add"
                f" {registry.disabling_name(failure.source)!r} to {DISABLED_PLUGINS_SETTING}."
            ) from failure.cause


def remember_plugins(index_name: str) -> None:
    """Note in an index's collections which plugins change the documents that are written now."""
    if names := list(DocumentHooks.active().names):
        for collection in live_collections(index_name):
            if collection.plugins != names:
                type(collection).objects.filter(pk=collection.pk).update(plugins=names)
