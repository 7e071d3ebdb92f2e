"""Finds plugins through entry points. Nothing here runs at import."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from types import ModuleType
from typing import Any, Literal, get_args

import pluggy

from . import hookspecs
from .specs import API_VERSION, ENTRY_POINT_GROUP, BackendSpec

BackendKind = Literal["vector", "embedding", "chat"]
KINDS: tuple[BackendKind, ...] = get_args(BackendKind)

_lock = threading.RLock()


@dataclass(frozen=True, kw_only=True)
class PluginSource:
    """Where a plugin comes from: its name, distribution and version."""

    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A plugin that loaded, with the backends it offers."""

    source: PluginSource
    module: ModuleType
    backends: Mapping[BackendKind, Mapping[str, BackendSpec]]


@dataclass(frozen=True, kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded, with what went wrong."""

    source: PluginSource
    cause: BaseException

    def __str__(self) -> str:
        return f"{self.source} is not usable: {describe(self.cause)}"


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A backend, with the plugin that offers it."""

    spec: BackendSpec
    plugin: Plugin


@dataclass(frozen=True, kw_only=True)
class Registry:
    """All plugins of this process, as one scan found them."""

    plugins: tuple[Plugin, ...] = ()
    failures: tuple[PluginFailure, ...] = ()
    disabled: tuple[PluginSource, ...] = ()
    hooks: pluggy.PluginManager = field(default_factory=lambda: _new_manager())

    def offers(self, kind: BackendKind, name: str) -> list[Offer]:
        """Who offers a backend of this name; more than one is a conflict.

        ``name`` is a short name, or ``"distribution:short name"``.
        """
        distribution, _, short_name = name.rpartition(":")
        return [
            Offer(spec=plugin.backends[kind][short_name], plugin=plugin)
            for plugin in self.plugins
            if short_name in plugin.backends[kind]
            and (not distribution or normalise(distribution) == normalise(plugin.source.distribution))
        ]

    def offer_at(self, kind: BackendKind, path: str) -> Offer | None:
        """Who offers the backend class at this dotted path, if any."""
        for plugin in self.plugins:
            for spec in plugin.backends[kind].values():
                if spec.path == path:
                    return Offer(spec=spec, plugin=plugin)
        return None

    def names(self, kind: BackendKind) -> list[str]:
        """The short names of all installed backends of a kind."""
        return sorted({name for plugin in self.plugins for name in plugin.backends[kind]})

    def conflicts(self) -> Iterator[tuple[BackendKind, str, list[Offer]]]:
        """Names that two plugins offer."""
        for kind in KINDS:
            for name in self.names(kind):
                if len(offers := self.offers(kind, name)) > 1:
                    yield kind, name, offers


def describe(error: BaseException) -> str:
    """An exception as one line, its type first."""
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def normalise(distribution: str) -> str:
    """A distribution's name in the one form in which names can be compared."""
    return distribution.lower().replace("_", "-").replace(".", "-")


def registry(disabled: Iterable[str] = ()) -> Registry:
    """Discover the installed plugins: one scan a process, whoever asks."""
    with _lock:
        return _registry(frozenset(disabled))


def django_apps(disabled: Iterable[str] = ()) -> list[str]:
    """The Django apps of the installed plugins, for ``INSTALLED_APPS``.

    Reads no settings, so that a settings module can call it. Each app is listed once.

    Args:
        disabled: names of plugins to leave out; the same names belong in
            ``WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS``.

    Example::

        INSTALLED_APPS = [..., "wagtail_vector_index", *django_apps()]
    """
    apps = {
        app: None
        for plugin in registry(disabled).plugins
        for specs in plugin.backends.values()
        for spec in specs.values()
        for app in spec.django_apps
    }
    return list(apps)


def clear_cache() -> None:
    """Forget what was discovered, so that the next call scans again."""
    with _lock:
        for function in (_registry, _entry_points, _load):
            function.cache_clear()


@functools.cache
def _registry(disabled: frozenset[str]) -> Registry:
    hooks = _new_manager()
    plugins, failures, switched_off = [], [], []
    for entry_point in _entry_points():
        source = _source(entry_point)
        if source.name in disabled:
            switched_off.append(source)
            continue
        loaded = _load(entry_point, source)
        if isinstance(loaded, Plugin):
            plugins.append(loaded)
            if not hooks.is_registered(loaded.module):
                hooks.register(loaded.module, name=f"{source.distribution}:{source.name}")
        else:
            failures.append(loaded)
    return Registry(
        plugins=tuple(plugins),
        failures=tuple(failures),
        disabled=tuple(switched_off),
        hooks=hooks,
    )


@functools.cache
def _entry_points() -> tuple[EntryPoint, ...]:
    found = entry_points(group=ENTRY_POINT_GROUP)
    return tuple(sorted(found, key=lambda ep: (_source(ep).distribution, ep.name)))


def _source(entry_point: EntryPoint) -> PluginSource:
    dist = entry_point.dist
    return PluginSource(
        name=entry_point.name,
        distribution=dist.name if dist else "an unknown distribution",
        version=dist.version if dist else "",
    )


@functools.cache
def _load(entry_point: EntryPoint, source: PluginSource) -> Plugin | PluginFailure:
    """Load one plugin by itself, so that whatever it does harms no other.

    Entry points of two distributions can be equal; ``source`` tells them apart.
    """
    try:
        module = entry_point.load()
        _check_api_version(module)
        hooks = _checked_hooks(module)
        return Plugin(
            source=source,
            module=module,
            backends={kind: _checked_backends(hooks, kind) for kind in KINDS},
        )
    except (Exception, SystemExit) as error:  # a plugin may raise anything, even exit
        return PluginFailure(source=source, cause=error)


def _check_api_version(module: Any) -> None:
    if not isinstance(module, ModuleType):
        raise TypeError(f"the entry point must name a module, not {module!r}.")
    version = getattr(module, "API_VERSION", None)
    if version is None:
        raise TypeError(f"{module.__name__} does not say its API_VERSION; {API_VERSION} is current.")
    if type(version) is not int:
        raise TypeError(f"{module.__name__}.API_VERSION must be an int, not {version!r}.")
    if version != API_VERSION:
        older = "the plugin" if version < API_VERSION else "wagtail-vector-index"
        raise RuntimeError(
            f"it is written for plugin API version {version}, and this wagtail-vector-index has"
            f" version {API_VERSION}. Upgrade {older}."
        )


def _checked_hooks(module: ModuleType) -> pluggy.PluginManager:
    hooks = _new_manager()
    hooks.register(module)
    hooks.check_pending()
    return hooks


def _checked_backends(hooks: pluggy.PluginManager, kind: BackendKind) -> dict[str, BackendSpec]:
    hook = f"{kind}_backends"
    backends: dict[str, BackendSpec] = {}
    for offered in getattr(hooks.hook, hook)():
        if not isinstance(offered, Mapping):
            raise TypeError(f"{hook}() must return a dict of name to BackendSpec, not {offered!r}.")
        for name, spec in offered.items():
            if not isinstance(name, str) or not name or ":" in name or "." in name:
                raise TypeError(f"{hook}(): {name!r} is not a name (a str without '.' or ':').")
            if not isinstance(spec, BackendSpec):
                raise TypeError(f"{hook}()[{name!r}] must be a BackendSpec, not {spec!r}.")
            backends[name] = spec
    return backends


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(ENTRY_POINT_GROUP)
    manager.add_hookspecs(hookspecs)
    return manager
