"""Finds problems with the installed plugins, and says what to do about each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..conf import DISABLED_PLUGINS_SETTING, BackendKind
from ..wording import article, describe, listed
from .discovery import LaterApiVersion, Offer, Plugin, Registry, app_error
from .resolving import choices, install_command, missing_modules
from .scanning import HiddenPlugin, hidden_plugins


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A problem with a plugin: its id, a message that names the plugin, and the remedy."""

    id: str
    message: str
    remedy: str


def problems(registry: Registry) -> Iterator[Problem]:
    """Yield plugins that cannot be used, that clash, or that lack modules for every backend."""
    for failure in registry.failures:
        is_ahead = isinstance(failure.cause, LaterApiVersion)
        first = "Upgrade wagtail-vector-index, uninstall" if is_ahead else "Upgrade or uninstall"
        yield Problem(
            id="wagtail_vector_index.W001",
            message=f"The {failure}",
            remedy=(
                f"{first} {failure.source.distribution}, or add"
                f" {registry.disabling_name(failure.source)!r} to {DISABLED_PLUGINS_SETTING}."
            ),
        )
    yield from map(_hidden, hidden_plugins())
    for conflict in registry.conflicts():
        yield _conflict(*conflict)
    for plugin in registry.plugins:
        yield from _unusable(registry, plugin)
        yield from _apps_that_fail(plugin)


def _apps_that_fail(plugin: Plugin) -> Iterator[Problem]:
    specs = [spec for offered in plugin.backends.values() for spec in offered.values()]
    usable = [spec for spec in specs if not missing_modules(spec)]
    for app in dict.fromkeys(app for spec in usable for app in spec.django_apps):
        if error := app_error(app):
            yield Problem(
                id="wagtail_vector_index.W011",
                message=(
                    f"The Django app {app!r} of the {plugin.source} cannot be loaded:"
                    f" {describe(error)}"
                ),
                remedy=f"Upgrade or uninstall {plugin.source.distribution}.",
            )


def _hidden(plugin: HiddenPlugin) -> Problem:
    return Problem(
        id="wagtail_vector_index.W010",
        message=f"The {plugin.source} is installed, but {plugin.hidden_by} hides it.",
        remedy=(
            "Python takes the first metadata of a distribution on its path, and those name no such"
            f" plugin. Delete {plugin.hidden_by} if an earlier install left it behind, or install"
            f" {plugin.source.distribution} again."
        ),
    )


def _conflict(kind: BackendKind, name: str, offers: list[Offer]) -> Problem:
    sources = listed([f"the {offer.plugin.source}" for offer in offers])
    return Problem(
        id="wagtail_vector_index.W002",
        message=(
            f"{sources[0].upper()}{sources[1:]} both offer {article(kind)} backend named {name!r}."
        ),
        remedy=f'Choose one: "BACKEND": {choices(offers, name)}.',
    )


def _unusable(registry: Registry, plugin: Plugin) -> Iterator[Problem]:
    """Yield the modules that a plugin lacks, if none of its backends can be used."""
    offers = [
        (kind, Offer(spec=spec, plugin=plugin))
        for kind, specs in plugin.backends.items()
        for spec in specs.values()
    ]
    missing = [missing_modules(offer.spec) for _, offer in offers]
    if not all(missing):
        return
    for (kind, offer), modules in zip(offers, missing, strict=True):
        yield Problem(
            id="wagtail_vector_index.W007",
            message=f"The {plugin.source} needs {listed(modules)}, which cannot be imported.",
            remedy=(
                f"Run: {install_command(kind, offer)}, or add"
                f" {registry.disabling_name(plugin.source)!r} to {DISABLED_PLUGINS_SETTING}."
            ),
        )
