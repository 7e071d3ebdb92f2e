"""Calls the hooks that run when an index is updated or searched, plugin by plugin."""

from __future__ import annotations

import copy
import inspect
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pluggy

from ..conf import DISABLED_PLUGINS_SETTING, disabled_plugins
from ..contract.echoes import without_content
from ..exceptions import ConfigurationError, PluginBroken
from ..wording import describe
from .discovery import Registry, registry
from .documents import Index, PreparedDocument
from .savepoints import savepoints

logger = logging.getLogger(__name__)


def active_registry() -> Registry:
    """Return the registry of installed plugins, without the ones that the settings disable."""
    disabled = disabled_plugins()
    try:
        return registry(disabled)
    except TypeError as error:
        raise ConfigurationError(
            f"{DISABLED_PLUGINS_SETTING} must be a list of plugin names, not {disabled!r}."
        ) from error


@dataclass(frozen=True)
class DocumentHooks:
    """The hooks of the active plugins that change documents.

    An update makes it once for many objects, since most sites have no such plugin at all.
    """

    implementations: Sequence[pluggy.HookImpl]
    #: The plugins in the order of their calls, with versions.
    plugins: Sequence[str]
    #: The full names of the plugins, which stay the same in other versions.
    names: Sequence[str] = ()

    @classmethod
    def active(cls) -> DocumentHooks:
        """Return the hooks of the plugins that are active now."""
        found = active_registry()
        implementations = _implementations("documents_prepared")
        sources = {found.hooks.get_name(plugin.module): plugin.source for plugin in found.plugins}
        names = [implementation.plugin_name for implementation in implementations]
        own = dict.fromkeys(sources[name].full_name for name in names if name in sources)
        return cls(implementations, names, list(own))

    def apply(
        self, index: Index, documents: Sequence[PreparedDocument]
    ) -> Sequence[PreparedDocument]:
        """Return the documents of one object after each plugin has redacted or enriched them.

        Each plugin gets copies, so what it changes in place has no effect.

        Raises:
            PluginBroken: a plugin failed; the message names it, and quotes none of the content.
        """
        for implementation in self.implementations:
            copies = [replace(document, metadata=dict(document.metadata)) for document in documents]
            arguments = {"index": copy.copy(index), "documents": copies}
            try:
                with savepoints():
                    result = _call(implementation, arguments)
                    documents = documents if result is None else _listed(result)
            except KeyboardInterrupt:
                raise
            except BaseException as error:
                texts = (f"{one.embedded_text}\n{one.metadata}" for one in documents)
                reason = without_content(describe(error), texts)
                raise PluginBroken(
                    f"documents_prepared of {implementation.plugin_name} failed: {reason}"
                ) from error
        return documents


def notify(hook_name: str, **arguments: Any) -> None:
    """Call a hook of every plugin. If one fails, log the error and call the others.

    Each plugin gets copies of the index and the lists. If its query fails, the transaction of the
    caller, such as a request's, can still be used.
    """
    for implementation in _implementations(hook_name):
        copies = {name: copy.copy(value) for name, value in arguments.items()}
        try:
            with savepoints():
                _call(implementation, copies)
        except KeyboardInterrupt:
            raise
        except BaseException:  # the other plugins must still be called
            logger.exception("%s of %s failed.", hook_name, implementation.plugin_name)


def _implementations(hook_name: str) -> Sequence[pluggy.HookImpl]:
    """Return implementations as pluggy does: ``tryfirst`` first, then from last to first found."""
    implementations: list[pluggy.HookImpl]
    implementations = getattr(active_registry().hooks.hook, hook_name).get_hookimpls()
    return implementations[::-1]


def _listed(result: Iterable[Any]) -> Sequence[PreparedDocument]:
    """Return what a plugin returned, such as a generator, as a list of documents."""
    documents = list(result)
    for document in documents:
        if not isinstance(document, PreparedDocument):
            # Only the type is shown: the value may be text that was to be redacted.
            raise TypeError(
                f"It must return instances of PreparedDocument, not of {type(document).__name__}."
            )
    return documents


def _call(implementation: pluggy.HookImpl, arguments: Mapping[str, Any]) -> Any:
    """Call one implementation with the arguments that it accepts."""
    result = implementation.function(*(arguments[name] for name in implementation.argnames))
    if inspect.iscoroutine(result):
        result.close()  # Python would warn that it was never awaited
        raise TypeError("A hook must not be asynchronous: nothing would await it.")
    return result
