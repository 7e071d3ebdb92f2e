"""The backends that the settings name: one instance per alias and process.

::

    from wagtail_vector_index.handlers import vector_backends

    vector_backends["default"].search(spec, vector)

The settings are read as Django reads ``CACHES`` or ``DATABASES``, but an instance is
shared by all threads: a matrix is big, and clients of vector databases are thread-safe.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.functional import cached_property

from .backends.base import VectorBackend
from .chat.base import ChatBackend
from .embeddings.base import EmbeddingBackend
from .exceptions import ConfigurationError, InvalidOptions, PluginBroken, UnknownAlias
from .options import Options, parse_options
from .plugins.calling import DISABLED_PLUGINS_SETTING, active_registry
from .plugins.discovery import BackendKind, describe
from .plugins.resolving import SETTINGS, Resolver, pip_command

__all__ = ["BackendHandler", "chat_backends", "embedding_backends", "vector_backends"]

BackendT = TypeVar("BackendT", VectorBackend, EmbeddingBackend, ChatBackend)

DEFAULT_ALIAS = "default"


class BackendHandler(Generic[BackendT]):
    """Makes the backends of one setting on first use, and keeps them.

    Args:
        kind: ``"vector"``, ``"embedding"`` or ``"chat"``.
        base: the class that every backend of this kind derives from.
        fallback: the backend to use if the setting is missing and a plugin offers it.
    """

    def __init__(self, kind: BackendKind, base: type[BackendT], fallback: str = "") -> None:
        self.kind = kind
        self.setting = SETTINGS[kind]
        self._base = base
        self._fallback = fallback
        self._reset()

    def __getitem__(self, alias: str) -> BackendT:
        backend = self._instances.get(alias)
        if backend is None:
            with self._lock:
                backend = self._instances.get(alias)
                if backend is None:
                    backend = self._instances[alias] = self._create(alias)
        return backend

    def __iter__(self) -> Iterator[str]:
        return iter(self.configured)

    def __contains__(self, alias: object) -> bool:
        return alias in self.configured

    def where(self, alias: str) -> str:
        """How an error names an alias: ``SETTING['alias']``."""
        return f"{self.setting}[{alias!r}]"

    @cached_property
    def configured(self) -> Mapping[str, Mapping[str, Any]]:
        """The setting, or what stands for it if it is missing.

        Raises:
            ConfigurationError: if it is not a dict of dicts.
        """
        configured = getattr(settings, self.setting, None)
        if configured is None:
            return self._default_settings()
        if not isinstance(configured, Mapping):
            raise ConfigurationError(
                f'{self.setting} must be a dict such as {{"default": {{"BACKEND": "…"}}}},'
                f" not {type(configured).__name__}."
            )
        for alias, raw in configured.items():
            if not isinstance(raw, Mapping):
                raise ConfigurationError(
                    f'{self.where(alias)} must be a dict such as {{"BACKEND": "…"}},'
                    f" not {type(raw).__name__}."
                )
        return configured

    def resolver(self, alias: str) -> Resolver:
        """What finds the class of this alias's backend.

        Raises:
            UnknownAlias: the setting has no such alias.
            InvalidOptions: ``BACKEND`` is missing or not a text.
        """
        name = self._raw(alias).get("BACKEND")
        if not isinstance(name, str) or not name:
            raise InvalidOptions(
                f"{self.where(alias)}: 'BACKEND' must be the short name or the dotted path of"
                f" a {self.kind} backend, not {name!r}."
            )
        return Resolver(
            registry=active_registry(),
            kind=self.kind,
            name=name,
            where=self.where(alias),
            configured=tuple(self.configured),
        )

    def close_all(self) -> None:
        """Close every backend that was made; each is made again on its next use."""
        with self._lock:
            instances, self._instances = self._instances, {}
        for backend in instances.values():
            backend.close()

    def _create(self, alias: str) -> BackendT:
        backend_class = self._checked_class(alias)
        raw = {key: value for key, value in self._raw(alias).items() if key != "BACKEND"}
        options = parse_options(backend_class.Options, raw, self.where(alias))
        try:
            return backend_class(alias, options)
        except ConfigurationError:
            raise
        except Exception as error:
            message = options.redact(describe(error))
            chained = error if message == describe(error) else None
            raise PluginBroken(
                f"{self.where(alias)}: {backend_class.__qualname__} cannot be made: {message}"
            ) from chained

    def _checked_class(self, alias: str) -> type[BackendT]:
        resolver = self.resolver(alias)
        found = resolver.backend_class()
        if not isinstance(found, type) or not issubclass(found, self._base):
            raise PluginBroken(
                f"{self.where(alias)}: {resolver.path} is not a subclass of"
                f" {self._base.__module__}.{self._base.__qualname__}."
            )
        if not isinstance(found.Options, type) or not issubclass(found.Options, Options):
            raise PluginBroken(
                f"{self.where(alias)}: {resolver.path}.Options must be a frozen dataclass that"
                f" derives from {self._base.__qualname__}.Options."
            )
        return found

    def _raw(self, alias: str) -> Mapping[str, Any]:
        try:
            return self.configured[alias]
        except KeyError:
            raise UnknownAlias(
                f"{self.setting} has no alias {alias!r}. {self.hint(alias)}"
            ) from None

    def hint(self, alias: str) -> str:
        """What to do about an alias that is not configured."""
        aliases = ", ".join(map(repr, self.configured))
        if aliases or not self._fallback:
            return f"Configured: {aliases or 'none'}."
        return (
            f'Configure it, or run: {pip_command(self._fallback)}, which is used where'
            " nothing is configured."
        )

    def _default_settings(self) -> Mapping[str, Mapping[str, Any]]:
        always = self.kind == "vector"
        if self._fallback and (always or active_registry().offers(self.kind, self._fallback)):
            return {DEFAULT_ALIAS: {"BACKEND": self._fallback}}
        return {}

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._instances: dict[str, BackendT] = {}
        self.__dict__.pop("configured", None)

    def _abandon(self) -> None:
        """In a child process: forget the parent's instances without closing them.

        They stay referenced, since a finaliser could close what the parent still uses.
        """
        _inherited.append(self._instances)
        self._reset()


_inherited: list[Mapping[str, Any]] = []

vector_backends = BackendHandler("vector", VectorBackend, fallback="numpy")
embedding_backends = BackendHandler("embedding", EmbeddingBackend, fallback="wordllama")
chat_backends = BackendHandler("chat", ChatBackend)

HANDLERS: tuple[BackendHandler[Any], ...] = (vector_backends, embedding_backends, chat_backends)


def _after_fork() -> None:
    for handler in HANDLERS:
        handler._abandon()


def _close_all() -> None:
    for handler in HANDLERS:
        handler.close_all()


def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    for handler in HANDLERS:
        if setting in (handler.setting, DISABLED_PLUGINS_SETTING):
            handler.close_all()
            handler._reset()


os.register_at_fork(after_in_child=_after_fork)
atexit.register(_close_all)
setting_changed.connect(_on_setting_changed, dispatch_uid="wagtail_vector_index.handlers")
