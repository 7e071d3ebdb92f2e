"""Calls the hooks that run while an index works, plugin by plugin."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pluggy

from ..conf import DISABLED_PLUGINS_SETTING, disabled_plugins
from ..exceptions import ConfigurationError
from .discovery import Registry, registry
from .documents import Index, PreparedDocument

logger = logging.getLogger(__name__)


def active_registry() -> Registry:
    """The plugins of this site: those installed, less those its settings switch off."""
    disabled = disabled_plugins()
    try:
        return registry(disabled)
    except TypeError as error:
        raise ConfigurationError(
            f"{DISABLED_PLUGINS_SETTING} must be a list of plugin names, not {disabled!r}."
        ) from error


def prepare_documents(
    index: Index, documents: Sequence[PreparedDocument]
) -> Sequence[PreparedDocument]:
    """Let each plugin in turn redact or enrich the documents of one object."""
    for implementation in _implementations("documents_prepared"):
        result = _call(implementation, {"index": index, "documents": documents})
        documents = documents if result is None else list(result)
    return documents


def notify(hook_name: str, **arguments: Any) -> None:
    """Tell every plugin what happened; one that fails is logged and harms no other."""
    for implementation in _implementations(hook_name):
        try:
            _call(implementation, arguments)
        except Exception:  # what happened has happened, and the other plugins hear of it
            logger.exception("%s of %s failed.", hook_name, implementation.plugin_name)


def _implementations(hook_name: str) -> Iterator[pluggy.HookImpl]:
    """In pluggy's order: those marked ``tryfirst``, then from the last to the first found."""
    yield from reversed(getattr(active_registry().hooks.hook, hook_name).get_hookimpls())


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    """Call one implementation with those arguments that it takes."""
    return implementation.function(*(arguments[name] for name in implementation.argnames))
