"""Loads the plugins that entry points name. Importing this module runs no discovery."""

from __future__ import annotations

import functools
import inspect
import os
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pluggy
from importlib_metadata import EntryPoint

from ..conf import KINDS, BackendKind
from ..wording import did_you_mean, listed
from . import hookspecs
from .scanning import PluginFailure, PluginSource, normalise, scan
from .specs import API_VERSION, ENTRY_POINT_GROUP, BackendSpec

_lock = threading.RLock()

if hasattr(os, "register_at_fork"):
    # Without this, a child forked during a scan would wait forever for a thread it lacks.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


class LaterApiVersion(RuntimeError):
    """The plugin is written for a later version of the plugin API than the installed one."""


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """A loaded plugin, with the backends that it offers."""

    source: PluginSource
    module: ModuleType
    backends: Mapping[BackendKind, Mapping[str, BackendSpec]]


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A backend, with the plugin that offers it."""

    spec: BackendSpec
    plugin: Plugin


@dataclass(frozen=True, kw_only=True)
class Registry:
    """All plugins of this process, as a single scan found them."""

    plugins: tuple[Plugin, ...] = ()
    failures: tuple[PluginFailure, ...] = ()
    disabled: tuple[PluginSource, ...] = ()
    hooks: pluggy.PluginManager = field(default_factory=lambda: _new_manager())  # noqa: PLW0108

    def offers(self, kind: BackendKind, name: str) -> list[Offer]:
        """Return the offers of a backend with this name. More than one is a conflict.

        ``name`` is a short name, or ``"distribution:short name"``. If one distribution offers
        the same backend twice, such as under the old and the new name of a plugin, it counts once.
        """
        wanted, _, short_name = name.rpartition(":")
        found: dict[tuple[str, BackendSpec], Offer] = {}
        for plugin in self.plugins:
            distribution = normalise(plugin.source.distribution)
            spec = plugin.backends[kind].get(short_name)
            if spec is not None and (not wanted or normalise(wanted) == distribution):
                found.setdefault((distribution, spec), Offer(spec=spec, plugin=plugin))
        return list(found.values())

    def offer_at(self, kind: BackendKind, path: str) -> Offer | None:
        """Return the offer of the backend class at this dotted path, or None."""
        for plugin in self.plugins:
            for spec in plugin.backends[kind].values():
                if spec.path == path:
                    return Offer(spec=spec, plugin=plugin)
        return None

    def names(self, kind: BackendKind) -> list[str]:
        """Return the short names of all installed backends of a kind."""
        return sorted({name for plugin in self.plugins for name in plugin.backends[kind]})

    def disabling_name(self, source: PluginSource) -> str:
        """Return the shortest name that disables this plugin and no other."""
        loaded = (plugin.source for plugin in self.plugins)
        failed = (failure.source for failure in self.failures)
        same = [other for other in (*loaded, *failed, *self.disabled) if other.name == source.name]
        return source.name if len(same) == 1 else source.full_name

    def disables(self, name: str) -> bool:
        """Return whether a name in the setting that disables plugins disables one."""
        return any(_normal(name) in source.names for source in self.disabled)

    def conflicts(self) -> Iterator[tuple[BackendKind, str, list[Offer]]]:
        """Yield the kind, name and offers of each backend that several plugins offer."""
        for kind in KINDS:
            for name in self.names(kind):
                if len(offers := self.offers(kind, name)) > 1:
                    yield kind, name, offers


def registry(disabled: Iterable[str] = ()) -> Registry:
    """Return the installed plugins. Each process scans for them only once.

    A plugin that failed before Django had loaded the models is loaded once more afterwards.

    Args:
        disabled: names of plugins to leave out, each as ``"name"``, or as
            ``"distribution:name"`` if several distributions have a plugin of that name.

    Raises:
        TypeError: ``disabled`` is not a list of names; a single string is not a list either.
    """
    names = (None,) if isinstance(disabled, str) else tuple(disabled)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"disabled must be a list of plugin names, not {disabled!r}.")
    with _lock:
        found = _registry(frozenset(names))
        # Settings that call `django_apps` load plugins before there are settings and models.
        if any(failure.is_early for failure in found.failures) and _models_are_loaded():
            _load.cache_clear()
            _registry.cache_clear()
            found = _registry(frozenset(names))
        return found


def django_apps(disabled: Iterable[str] = ()) -> list[str]:
    """Return the Django apps of the installed plugins, for ``INSTALLED_APPS``.

    Settings modules can call this function because it reads no settings. Each app is listed
    once. Apps that Django could not load are left out, such as the app of a client library that
    is not installed: such an app would stop every command, while a check says what is wrong.

    Args:
        disabled: names of plugins to leave out. Put the same names into
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
        if app_error(app) is None
    }
    return list(apps)


def app_error(app: str) -> BaseException | None:
    """Return the error with which Django would fail to load an app, or None if it loads.

    Only the app's own module and its ``apps`` module are loaded, as `django.setup` does first.
    """
    # Imported here, because plugins can be discovered where Django is not installed.
    from django.apps import AppConfig

    if not _exists(app):
        return ModuleNotFoundError(f"No module named {app!r}")
    try:
        AppConfig.create(app)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # an app may exit, or panic in another language
        return error
    return None


def clear_cache() -> None:
    """Forget the discovered plugins, so that the next call scans again."""
    with _lock:
        for function in (_registry, scan, _load):
            function.cache_clear()


@functools.cache
def _registry(disabled: frozenset[str]) -> Registry:
    hooks = _new_manager()
    plugins, failures, switched_off = [], [], []
    unwanted = {_normal(name) for name in disabled}
    for source, found in scan():
        if not unwanted.isdisjoint(source.names):
            switched_off.append(source)
            continue
        loaded = _load(found, source) if isinstance(found, EntryPoint) else found
        if isinstance(loaded, Plugin):
            plugins.append(loaded)
            if not hooks.is_registered(loaded.module):
                # Named after its module: a distribution can repeat the name of an entry point.
                hooks.register(loaded.module, name=f"{loaded.module.__name__} ({source})")
        else:
            failures.append(loaded)
    return Registry(
        plugins=tuple(plugins),
        failures=tuple(failures),
        disabled=tuple(switched_off),
        hooks=hooks,
    )


def _normal(disabled: str) -> str:
    distribution, colon, name = disabled.rpartition(":")
    return f"{normalise(distribution)}{colon}{name}"


@functools.cache
def _load(entry_point: EntryPoint, source: PluginSource) -> Plugin | PluginFailure:
    """Load one plugin. An error in it is returned, so that other plugins still load.

    Entry points of two distributions can be equal. ``source`` distinguishes them in the cache.
    """
    try:
        if not entry_point.pattern.match(entry_point.value):
            raise ValueError(f"the entry point must name a module, not {entry_point.value!r}.")
        module = entry_point.load()
        _check_api_version(module)
        hooks = _checked_hooks(module)
        return Plugin(
            source=source,
            module=module,
            backends={kind: _checked_backends(hooks, kind) for kind in KINDS},
        )
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # noqa: BLE001  # a plugin may exit, or panic in another language
        return PluginFailure(source=source, cause=error, is_early=not _models_are_loaded())


def _models_are_loaded() -> bool:
    django_apps = sys.modules.get("django.apps")
    return django_apps is not None and django_apps.apps.models_ready


def _check_api_version(module: Any) -> None:
    if not isinstance(module, ModuleType):
        raise TypeError(f"the entry point must name a module, not {module!r}.")
    version = getattr(module, "API_VERSION", None)
    if version is None:
        raise TypeError(
            f"{module.__name__} has no API_VERSION. Add it: the current version is {API_VERSION}."
        )
    if type(version) is not int:
        raise TypeError(f"{module.__name__}.API_VERSION must be an int, not {version!r}.")
    if version != API_VERSION:
        older = "the plugin" if version < API_VERSION else "wagtail-vector-index"
        kind = RuntimeError if version < API_VERSION else LaterApiVersion
        raise kind(
            f"it is written for plugin API version {version}, but this wagtail-vector-index has"
            f" version {API_VERSION}. Upgrade {older}."
        )


def _checked_hooks(module: ModuleType) -> pluggy.PluginManager:
    hooks = _new_manager()
    known = list(vars(hooks.hook))
    hooks.register(module)
    own = {name: hook.get_hookimpls() for name, hook in vars(hooks.hook).items()}
    for name, implementations in own.items():
        if name not in known and not all(each.optionalhook for each in implementations):
            raise TypeError(
                f"unknown hook {name!r} in {module.__name__}.{did_you_mean(name, known)}"
                f" The hooks are {listed(known)}."
            )
        if not implementations and _is_own_function(module, name):
            raise TypeError(f"{name}() is not marked as a hook. Write @hookimpl above it.")
        for implementation in implementations:
            if implementation.wrapper or implementation.hookwrapper:
                # Each plugin is called separately, so a wrapper would have nothing to wrap.
                raise TypeError(f"{name}() must not be a wrapper.")
            if inspect.iscoroutinefunction(implementation.function):
                raise TypeError(f"{name}() must not be asynchronous: nothing would await it.")
    if not any(own.values()):
        raise TypeError(
            f"{module.__name__} implements no hook. Write @hookimpl above a function of the module"
            f" with one of these names: {', '.join(known)}."
        )
    return hooks


def _is_own_function(module: ModuleType, name: str) -> bool:
    value = getattr(module, name, None)
    return inspect.isfunction(value) and value.__module__ == module.__name__


def _checked_backends(hooks: pluggy.PluginManager, kind: BackendKind) -> dict[str, BackendSpec]:
    hook = f"{kind}_backends"
    backends: dict[str, BackendSpec] = {}
    # Called one by one, since pluggy would leave out an implementation that returns None.
    for implementation in getattr(hooks.hook, hook).get_hookimpls():
        offered = implementation.function()
        if not isinstance(offered, Mapping):
            raise TypeError(f"{hook}() must return a dict of name to BackendSpec, not {offered!r}.")
        for name, spec in offered.items():
            if not isinstance(name, str) or not name or ":" in name or "." in name:
                raise TypeError(
                    f"{hook}(): {name!r} is not a valid name: use a str without '.' or ':'."
                )
            if not isinstance(spec, BackendSpec):
                raise TypeError(f"{hook}()[{name!r}] must be a BackendSpec, not {spec!r}.")
            absent = [app for app in spec.django_apps if not _exists(app)]
            # While a required module is missing, the app may be missing with it.
            if absent and all(map(_exists, spec.requires)):
                raise ImportError(
                    f"{hook}()[{name!r}] names the Django app {absent[0]!r}, which is not"
                    " installed."
                )
            backends[name] = spec
    return backends


def _exists(path: str) -> bool:
    """Return whether a module of this name, or the module of this class, exists.

    Imports nothing, unlike `importlib.util.find_spec`, which imports the parent packages.
    """
    module, _, name = path.rpartition(".")
    folders: Any = None
    found = ""
    for part in (module if module and name[:1].isupper() else path).split("."):
        found = f"{found}.{part}" if found else part
        if (loaded := sys.modules.get(found)) is not None:
            folders = getattr(loaded, "__path__", ())
            continue
        specs = (f.find_spec(found, folders) for f in sys.meta_path if hasattr(f, "find_spec"))
        if (spec := next(filter(None, specs), None)) is None:
            return False
        folders = spec.submodule_search_locations or ()
    return True


def _new_manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(ENTRY_POINT_GROUP)
    manager.add_hookspecs(hookspecs)
    return manager
