"""Finds the class that ``BACKEND`` names, or raises an error that says what to do."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from django.apps import apps
from django.utils.functional import cached_property

from ..conf import BACKEND_SETTINGS, KINDS, BackendKind
from ..exceptions import (
    AppNotInstalled,
    BackendNameConflict,
    ClientNotInstalled,
    PluginBroken,
    PluginNotInstalled,
    UnknownBackend,
)
from ..wording import article, describe, listed, sentence, without_keys
from .discovery import Offer, Registry, app_error
from .scanning import PluginFailure, normalise
from .specs import BackendSpec

#: Backends of this project's own distributions, all of them extras of core.
KNOWN_BACKENDS: Mapping[BackendKind, frozenset[str]] = {
    "vector": frozenset({"numpy", "pgvector", "qdrant", "weaviate"}),
    "embedding": frozenset({"fastembed", "openai", "wordllama"}),
    "chat": frozenset({"openai"}),
    "reranking": frozenset({"fastembed", "openai"}),
}

#: The prefix of the distribution names of this project's own plugins.
DISTRIBUTION_PREFIX = "wagtail-vector-index-"

_PACKAGES: Mapping[BackendKind, str] = {
    "vector": "wagtail_vector_index.backends",
    "embedding": "wagtail_vector_index.embeddings",
    "chat": "wagtail_vector_index.chat",
    "reranking": "wagtail_vector_index.reranking",
}


def pip_command(extra: str) -> str:
    """Return the command that installs one of this project's own plugins."""
    return f'pip install "wagtail-vector-index[{extra}]"'


@dataclass(frozen=True, kw_only=True)
class Resolver:
    """Finds the class of a backend.

    Args:
        registry: the plugins to search.
        kind: the kind of the backend.
        name: a short name, ``"distribution:short name"`` or a dotted path.
        where: the setting as errors name it: ``SETTING['alias']['BACKEND']``.
        configured: the aliases in this setting, which errors list.
    """

    registry: Registry
    kind: BackendKind
    # Error reports show the reprs of variables, and somebody may have put a key in here.
    name: str = field(repr=False)
    where: str
    configured: tuple[str, ...] = ()

    def backend_class(self) -> type[Any]:
        """Import and return the class.

        Raises:
            ConfigurationError: the class cannot be used. The subclass says why.
        """
        self.check_installed()
        return self._import()

    def check_installed(self) -> None:
        """Raise unless the plugin, its client and its Django apps are installed. Imports none."""
        if self._offer is None:
            if self._is_path:
                self._check_path()
                return
            raise self._not_offered()
        self._check_requirements(self._offer)

    @cached_property
    def path(self) -> str:
        """The dotted path of the class."""
        return self._offer.spec.path if self._offer else self.name

    @property
    def _is_path(self) -> bool:
        return "." in self.name and ":" not in self.name

    @property
    def _shown(self) -> str:
        """The name as errors show it: somebody may have put a key into the wrong setting."""
        return without_keys(self.name)

    @property
    def _short_name(self) -> str:
        return self.name.rpartition(":")[2]

    @cached_property
    def _offer(self) -> Offer | None:
        if self._is_path:
            return self.registry.offer_at(self.kind, self.name)
        offers = self.registry.offers(self.kind, self.name)
        if len(offers) > 1:
            raise self._conflict(offers)
        return offers[0] if offers else None

    # If the plugin is installed: check what it needs

    def _check_requirements(self, offer: Offer) -> None:
        source = offer.plugin.source
        if missing := missing_modules(offer.spec):
            raise ClientNotInstalled(
                f"{self.where}: the backend {self.name!r} of {source.distribution}"
                f" {source.version} needs {listed(missing)}, which cannot be imported."
                f" Run: {install_command(self.kind, offer)}"
            )
        absent = [app for app in offer.spec.django_apps if not _app_installed(app)]
        for app in absent:
            if error := app_error(app):
                raise PluginBroken(
                    f"{self.where}: the Django app {app!r} of {source.distribution}"
                    f" {source.version} cannot be loaded: {describe(error)}"
                ) from error
        if absent:
            raise AppNotInstalled(
                f"{self.where}: the backend {self.name!r} needs {listed(absent)} in"
                " INSTALLED_APPS. Add it, or *wagtail_vector_index.plugins.django_apps(),"
                " then run: manage.py migrate"
            )

    def _import(self) -> type[Any]:
        module_name, _, class_name = self.path.rpartition(".")
        try:
            return getattr(import_module(module_name), class_name)  # type: ignore[no-any-return]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            owner = f" of {self._offer.plugin.source.distribution}" if self._offer else ""
            remedy = "" if self._offer else f" Check the path.{self._close_match()}"
            raise PluginBroken(
                sentence(
                    f"{self.where}: {without_keys(self.path)}{owner} cannot be imported:"
                    f" {without_keys(describe(error))}"
                )
                + remedy
            ) from error

    # If the plugin is not installed: find the remedy

    def _check_path(self) -> None:
        for extra in KNOWN_BACKENDS[self.kind]:
            package = f"{_PACKAGES[self.kind]}.{extra}"
            if f"{self.name}.".startswith(f"{package}.") and not _can_import(package):
                raise PluginNotInstalled(
                    f"{self.where}: {self._shown} belongs to a plugin that is not installed."
                    f" Run: {pip_command(extra)}"
                )
        module = self.name.rpartition(".")[0]
        top = module.partition(".")[0]
        if not _can_import(top):
            raise PluginNotInstalled(
                f"{self.where}: there is no module {without_keys(top)!r} to import"
                f" {self._shown} from."
                " Install the distribution that contains it, or correct the path."
                f"{self._close_match()}"
            )

    def _not_offered(self) -> Exception:
        for failure in self.registry.failures:
            if failure.source.name == self._short_name:
                return self._broken(failure)
        installed = any(self.registry.offers(kind, self.name) for kind in KINDS)
        if reason := self._disabled_by_settings():
            return UnknownBackend(f"{self.where}: {reason} {self._inventory()}")
        if self.name in KNOWN_BACKENDS[self.kind] and not installed:
            return PluginNotInstalled(
                f"{self.where}: the plugin for {self.name!r} is not installed."
                f" Run: {pip_command(self.name)}"
            )
        if reason := self._other_kind():
            return UnknownBackend(f"{self.where}: {reason} {self._inventory()}")
        return UnknownBackend(
            f"{self.where}: no installed plugin offers {article(self.kind)} backend"
            f" named {self._shown!r}.{self._close_match()} {self._inventory()}"
        )

    def _broken(self, failure: PluginFailure) -> Exception:
        error = PluginBroken(f"{self.where}: {failure}")
        error.__cause__ = failure.cause
        return error

    def _disabled_by_settings(self) -> str:
        disabled = self.registry.disabled
        sources = [f"the {source}" for source in disabled if source.name == self._short_name]
        if not sources:
            return ""
        return (
            f"{listed(sources)} {'is' if len(sources) == 1 else 'are'} disabled by"
            " WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS. Remove the name from that list."
        )

    def _other_kind(self) -> str:
        for kind in KINDS:
            installed = self.registry.offers(kind, self.name)
            if kind != self.kind and (installed or self.name in KNOWN_BACKENDS[kind]):
                origin = (
                    f"it is offered by {installed[0].plugin.source.distribution}"
                    if installed
                    else f"to install it, run: {pip_command(self.name)}"
                )
                return (
                    f"{self.name!r} is {article(kind)} backend, not {article(self.kind)} one"
                    f" ({origin}). Configure it in {BACKEND_SETTINGS[kind]}, and name"
                    f" {article(self.kind)} backend here."
                )
        return ""

    def _close_match(self) -> str:
        """Return " Did you mean 'name'?" for the closest short name, path or distribution."""
        meant = {f"{DISTRIBUTION_PREFIX}{name}": repr(name) for name in KNOWN_BACKENDS[self.kind]}
        meant |= {name: repr(name) for name in KNOWN_BACKENDS[self.kind]}
        for plugin in self.registry.plugins:
            for name, spec in plugin.backends[self.kind].items():
                meant[normalise(plugin.source.distribution)] = repr(name)
                meant[spec.path] = f"{spec.path!r} or the short name {name!r}"
                meant[name] = repr(name)
        close = difflib.get_close_matches(self.name, meant, n=1)
        return f" Did you mean {meant[close[0]]}?" if close else ""

    def _inventory(self) -> str:
        installed = self.registry.names(self.kind)
        disabled = {source.name for source in self.registry.disabled}
        more = sorted(KNOWN_BACKENDS[self.kind].difference(installed, disabled))
        parts = [
            f"Installed {self.kind} backends: {', '.join(installed) or 'none'}.",
            f"Configured aliases: {', '.join(self.configured) or 'none'}.",
        ]
        if more:
            parts.append(
                f"Others that you can install: {', '.join(pip_command(name) for name in more)}."
            )
        # One of these plugins might have offered the backend.
        parts.extend(sentence(f"The {failure}") for failure in self.registry.failures)
        return " ".join(parts)

    def _conflict(self, offers: list[Offer]) -> Exception:
        sources = [offer.plugin.source for offer in offers]
        names = listed([f"{source.distribution} {source.version}" for source in sources])
        return BackendNameConflict(
            f"{self.where}: {names} both offer {article(self.kind)} backend named"
            f' {self._short_name!r}. Choose one: "BACKEND": {choices(offers, self._short_name)}.'
        )


def missing_modules(spec: BackendSpec) -> list[str]:
    """Return the required modules of a backend that are not installed. Imports none."""
    return [module for module in spec.requires if not _can_import(module)]


def install_command(kind: BackendKind, offer: Offer) -> str:
    """Return the command that installs the modules that a backend requires."""
    if offer.spec.install:
        return f'pip install "{offer.spec.install}"'
    distribution = normalise(offer.plugin.source.distribution)
    name = distribution.removeprefix(DISTRIBUTION_PREFIX)
    return pip_command(name) if name in KNOWN_BACKENDS[kind] else f"pip install {distribution}"


def choices(offers: list[Offer], name: str) -> str:
    """Return the values for ``BACKEND`` that distinguish backends with the same short name."""
    distributions = [offer.plugin.source.distribution for offer in offers]
    if len(set(distributions)) == len(offers):
        return " or ".join(repr(f"{distribution}:{name}") for distribution in distributions)
    return " or ".join(repr(offer.spec.path) for offer in offers)


def _can_import(module: str) -> bool:
    if module in sys.modules:
        return sys.modules[module] is not None
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):  # a parent is missing or is not a package
        return False
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001  # the module exists; importing it will show the error
        return True


def _app_installed(app: str) -> bool:
    return any(
        app in (config.name, f"{type(config).__module__}.{type(config).__name__}")
        for config in apps.get_app_configs()
    )
