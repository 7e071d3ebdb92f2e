"""The backends that the settings name: one instance per alias and process.

::

    from wagtail_vector_index.handlers import vector_backends

    vector_backends["default"].search(spec, vector)

The settings are read as Django reads ``CACHES`` or ``DATABASES``, but all threads share an
instance: a matrix is big, and clients of vector databases are thread-safe.
"""

from __future__ import annotations

import atexit
import difflib
import inspect
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.functional import cached_property

from ..backends.base import VectorBackend
from ..chat.base import ChatBackend
from ..conf import BACKEND_SETTINGS, DISABLED_PLUGINS_SETTING, BackendKind
from ..contract.options import Options, clear_values, parse_options
from ..embeddings.base import EmbeddingBackend
from ..exceptions import ConfigurationError, InvalidOptions, PluginBroken, UnknownAlias
from ..reranking.base import RerankingBackend
from ..wording import article, describe, did_you_mean, listed, shown
from .calling import active_registry
from .resolving import DISTRIBUTION_PREFIX, KNOWN_BACKENDS, Resolver, pip_command

__all__ = [
    "BackendHandler",
    "chat_backends",
    "embedding_backends",
    "reranking_backends",
    "vector_backends",
]

BackendT = TypeVar("BackendT", VectorBackend, EmbeddingBackend, ChatBackend, RerankingBackend)

DEFAULT_ALIAS = "default"

#: Numbers that a backend of some kind states about itself, and whether each may be None.
_NUMBERS: Mapping[str, bool] = {
    "concurrency": False,
    "context_tokens": False,
    "dimensions": False,
    "known_dimensions": True,
    "max_batch_bytes": False,
    "max_batch_records": False,
    "max_batch_texts": False,
    "max_batch_tokens": True,
    "max_tokens": True,
}

logger = logging.getLogger(__name__)


class BackendHandler(Generic[BackendT]):
    """Creates each backend of one setting on its first use, and keeps it.

    Args:
        kind: ``"vector"``, ``"embedding"``, ``"chat"`` or ``"reranking"``.
        base: the base class of every backend of this kind.
        fallback: the backend to use if the setting is missing and a plugin offers it.
    """

    base: type[BackendT]
    _lock: threading.RLock
    _instances: dict[str, BackendT]

    def __init__(self, kind: BackendKind, base: type[BackendT], fallback: str = "") -> None:
        self.kind = kind
        self.setting = BACKEND_SETTINGS[kind]
        self.base = base
        self._fallback = fallback
        self.reset()

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
        return alias in tuple(self.configured)  # by equality: an alias may be of any type

    def where(self, alias: str) -> str:
        """Return the place of an alias, as errors name it: ``SETTING['alias']``."""
        return f"{self.setting}[{alias!r}]"

    @cached_property
    def configured(self) -> Mapping[str, Mapping[str, Any]]:
        """The setting, or its default if it is missing.

        Raises:
            ConfigurationError: the setting is not a dict of dicts.
        """
        if problem := self._problem():
            raise ConfigurationError(problem)
        configured: Mapping[str, Mapping[str, Any]] | None = getattr(settings, self.setting, None)
        return self._default_settings() if configured is None else configured

    def resolver(self, alias: str) -> Resolver:
        """Return the resolver that finds the class of this alias's backend.

        Raises:
            UnknownAlias: the setting has no such alias.
            InvalidOptions: ``BACKEND`` is missing or not a text.
        """
        if "BACKEND" not in self._raw(alias):
            raise InvalidOptions(self._no_backend(alias))
        name = self._raw(alias)["BACKEND"]
        if not isinstance(name, str) or not name:
            # The value is not shown: it may be a whole configuration with a key in it.
            found = type(name).__name__ if name else repr(name)
            raise InvalidOptions(
                f"{self.where(alias)}['BACKEND'] must be a text, the short name or the dotted"
                f" path of {article(self.kind)} backend, not {found}."
            )
        return Resolver(
            registry=active_registry(),
            kind=self.kind,
            name=name,
            where=f"{self.where(alias)}['BACKEND']",
            configured=tuple(self.configured),
        )

    def close_all(self) -> None:
        """Close every backend that was created. Each is created again on its next use."""
        with self._lock:
            instances, self._instances = self._instances, {}
        for alias, backend in instances.items():
            try:
                backend.close()
            except KeyboardInterrupt:
                raise
            except BaseException:  # the other backends must still be closed
                logger.exception("%s cannot be closed.", self.where(alias))

    def made(self) -> list[BackendT]:
        """Return the backends that this process has created until now."""
        return list(self._instances.values())

    # Error reports, such as Django's debug page, show the variables of every frame that an
    # error passed. So a method that raises keeps no value with a secret in a variable.

    def _problem(self) -> str:
        """Return why the setting is not a dict of dicts, or an empty text."""
        configured = getattr(settings, self.setting, None)
        if configured is None:
            return ""
        if not isinstance(configured, Mapping):
            return (
                f'{self.setting} must be a dict such as {{"default": {{"BACKEND": "…"}}}},'
                f" not {type(configured).__name__}."
            )
        for alias, raw in configured.items():
            if not isinstance(alias, str):
                return f'{self.setting}: the alias {alias!r} must be a text, such as "default".'
            if not isinstance(raw, Mapping):
                return (
                    f'{self.where(alias)} must be a dict such as {{"BACKEND": "…"}},'
                    f" not {type(raw).__name__}."
                )
        return ""

    def _create(self, alias: str) -> BackendT:
        backend_class = self._checked_class(alias)
        options = parse_options(backend_class.Options, self._others(alias), self.where(alias))
        try:
            backend = backend_class(alias, options)
            if not (problem := _number_problem(backend)):
                return backend
            raise PluginBroken(f"{self.where(alias)}: {backend_class.__qualname__}.{problem}")
        except ConfigurationError:
            raise
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001  # reported below, whatever it is
            failure = error
        # Raised outside the except block. An error that shows a secret must not become the context.
        message = options.redact(describe(failure))
        cause = failure if message == describe(failure) else None
        clear_values(failure)
        del failure
        raise PluginBroken(
            f"{self.where(alias)}: {backend_class.__qualname__} cannot be created: {message}"
        ) from cause

    def _checked_class(self, alias: str) -> type[BackendT]:
        resolver = self.resolver(alias)
        found = resolver.backend_class()
        if not isinstance(found, type) or not issubclass(found, self.base):
            raise PluginBroken(self._wrong_class(alias, resolver.path, found))
        if not isinstance(found.Options, type) or not issubclass(found.Options, Options):
            raise PluginBroken(
                f"{self.where(alias)}: {resolver.path}.Options must be a frozen dataclass that"
                f" derives from {self.base.__qualname__}.Options."
            )
        return found

    def _raw(self, alias: str) -> Mapping[str, Any]:
        try:
            return self.configured[alias]
        except KeyError:
            raise UnknownAlias(
                f"{self.setting} has no alias {alias!r}. {self.hint(alias)}"
            ) from None

    def _others(self, alias: str) -> Mapping[str, Any]:
        """Return the settings of an alias without ``BACKEND``."""
        return {key: value for key, value in self._raw(alias).items() if key != "BACKEND"}

    def hint(self, alias: str) -> str:
        """Return what to do about an alias that is not configured."""
        if self.configured:
            configured = ", ".join(map(repr, self.configured))
            return f"Configured: {configured}.{did_you_mean(alias, self.configured)}"
        installed = active_registry().names(self.kind)
        name = installed[0] if len(installed) == 1 else "…"
        example = f'{self.setting} = {{{alias!r}: {{"BACKEND": "{name}"}}}}'
        if self._fallback and getattr(settings, self.setting, None) is None:
            remedy = f"run: {pip_command(self._fallback)}"
            if self._fallback in {source.name for source in active_registry().disabled}:
                remedy = f"remove {self._fallback!r} from {DISABLED_PLUGINS_SETTING}"
            return (
                f"Configure it: {example}, or {remedy}. The backend {self._fallback!r} is used if"
                " nothing is configured."
            )
        more = f" Installed backends: {listed(installed)}." if len(installed) > 1 else ""
        if not installed:
            extras = sorted(KNOWN_BACKENDS[self.kind])
            more = f" To install a backend, run: {' or '.join(map(pip_command, extras))}"
        return f"No alias is configured.{more} Add one: {example}"

    def _no_backend(self, alias: str) -> str:
        raw = self._raw(alias)
        near = difflib.get_close_matches("BACKEND", [str(key).upper() for key in raw], n=1)
        written = [key for key in raw if str(key).upper() in near]
        question = f" Did you mean 'BACKEND' instead of {written[0]!r}?" if written else ""
        return (
            f"{self.where(alias)}: 'BACKEND' is missing.{question} Set it to the short name"
            f" or the dotted path of {article(self.kind)} backend."
        )

    def _wrong_class(self, alias: str, path: str, found: Any) -> str:
        base = f"{self.base.__module__}.{self.base.__qualname__}"
        problem = f"{self.where(alias)}['BACKEND']: {path} is not a subclass of {base}."
        if isinstance(found, ModuleType):
            names = getattr(found, "__all__", ())
            classes = ", ".join(f"{path}.{name}" for name in names) or f"{path}.…"
            return f"{problem} It is a module. Name its class: {classes}."
        for other in HANDLERS:
            if isinstance(found, type) and issubclass(found, other.base):
                return f"{problem} It is {article(other.kind)} backend: see {other.setting}."
        return problem

    def _default_settings(self) -> Mapping[str, Mapping[str, Any]]:
        if not self._fallback:
            return {}
        installed = active_registry()
        broken = {failure.source.name for failure in installed.failures}
        offers = installed.offers(self.kind, self._fallback)
        own = f"{DISTRIBUTION_PREFIX}{self._fallback}:{self._fallback}"
        if len(offers) > 1 and installed.offers(self.kind, own):
            # The site did not choose the short name, so a plugin with the same name is no conflict.
            return {DEFAULT_ALIAS: {"BACKEND": own}}
        if self._fallback in broken or offers:
            return {DEFAULT_ALIAS: {"BACKEND": self._fallback}}
        return {}

    def reset(self) -> None:
        """Forget all instances without closing them, and read the settings again on next use."""
        self._lock = threading.RLock()
        self._instances = {}
        self.__dict__.pop("configured", None)

    def abandon(self) -> None:
        """Forget the parent's instances in a child process, without closing them.

        The instances stay referenced, because a finaliser could close what the parent still
        uses.
        """
        _inherited.append(self._instances)
        self.reset()


def _number_problem(backend: Any) -> str:
    """Return which number that a backend states about itself is none, or an empty text.

    A wrong one would lose texts or records without an error. What a method computes, perhaps
    from a model that is not loaded yet, is not asked for.
    """
    for name, may_be_none in _NUMBERS.items():
        value = inspect.getattr_static(backend, name, 1)
        if hasattr(type(value), "__get__") or (value is None and may_be_none):
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            return f"{name} must be an int of at least 1, not {shown(value)}."
    weight = inspect.getattr_static(backend, "vector_weight", 0)
    is_number = isinstance(weight, (int, float)) and not isinstance(weight, bool)
    if not (hasattr(type(weight), "__get__") or (is_number and 0 <= weight <= 1)):
        return f"vector_weight must be a number from 0 to 1, not {shown(weight)}."
    return ""


_inherited: list[Mapping[str, Any]] = []

#: The vector backends of the settings, by alias.
vector_backends = BackendHandler("vector", VectorBackend, fallback="numpy")
#: The embedding backends of the settings, by alias.
embedding_backends = BackendHandler("embedding", EmbeddingBackend, fallback="wordllama")
#: The chat backends of the settings, by alias.
chat_backends = BackendHandler("chat", ChatBackend)
#: The reranking backends of the settings, by alias.
reranking_backends = BackendHandler("reranking", RerankingBackend)

HANDLERS: tuple[BackendHandler[Any], ...] = (
    vector_backends,
    embedding_backends,
    chat_backends,
    reranking_backends,
)


def _after_fork() -> None:
    for handler in HANDLERS:
        handler.abandon()


def _close_all() -> None:
    for handler in HANDLERS:
        handler.close_all()


def _on_setting_changed(*, setting: str, **kwargs: Any) -> None:
    for handler in HANDLERS:
        if setting in (handler.setting, DISABLED_PLUGINS_SETTING):
            handler.close_all()
            handler.reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
atexit.register(_close_all)
setting_changed.connect(_on_setting_changed, dispatch_uid="wagtail_vector_index.handlers")
