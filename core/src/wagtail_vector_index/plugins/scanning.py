"""Finds the entry points of all installed distributions, even if some metadata is damaged."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from importlib_metadata import EntryPoint, distributions, entry_points

from ..wording import describe
from .specs import ENTRY_POINT_GROUP

_FILE = "entry_points.txt"


@dataclass(frozen=True, kw_only=True)
class PluginSource:
    """The origin of a plugin: its name, distribution and version."""

    name: str
    distribution: str
    version: str

    def __str__(self) -> str:
        return f"plugin {self.name!r} of {self.distribution} {self.version}"

    @property
    def names(self) -> tuple[str, str]:
        """The names that can disable the plugin."""
        return self.name, self.full_name

    @property
    def full_name(self) -> str:
        """The name that distinguishes plugins of the same name: ``"distribution:name"``."""
        return f"{normalise(self.distribution)}:{self.name}"


@dataclass(frozen=True, kw_only=True)
class PluginFailure:
    """A plugin that could not be loaded, with the cause."""

    source: PluginSource
    cause: BaseException
    #: Whether this was before Django had loaded the models, which the plugin may have needed.
    is_early: bool = False

    def __str__(self) -> str:
        return f"{self.source} is not usable: {describe(self.cause)}"


@dataclass(frozen=True, kw_only=True)
class HiddenPlugin:
    """An installed plugin that is not found, because other metadata hides its own."""

    source: PluginSource
    #: The metadata that Python finds first, such as a folder that an old install left behind.
    hidden_by: str


def normalise(distribution: str) -> str:
    """Return a distribution's name in the normal form, in which names can be compared."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


@functools.cache
def scan() -> tuple[tuple[PluginSource, EntryPoint | PluginFailure], ...]:
    """Return all entry points, not yet loaded, in the same order on every machine."""
    found: list[tuple[PluginSource, EntryPoint | PluginFailure]]
    try:
        found = [(_source(ep.name, ep.dist), ep) for ep in entry_points(group=ENTRY_POINT_GROUP)]
    except Exception:  # noqa: BLE001  # one unreadable file makes the call fail for all distributions
        found = list(_scan_one_by_one())
    return tuple(sorted(found, key=lambda item: (item[0].distribution, item[0].name)))


def hidden_plugins() -> Iterator[HiddenPlugin]:
    """Yield the plugins that other metadata of the same distribution hides.

    Python takes the first metadata of a distribution on its path. An ``egg-info`` folder that an
    old editable install left behind can come before the installed distribution.
    """
    first: dict[str, Any] = {}
    for dist in distributions():
        shadow = first.setdefault(_name(dist), dist)
        if shadow is dist:
            continue
        with contextlib.suppress(Exception):  # `scan` reports files that cannot be read
            found = {ep.name for ep in shadow.entry_points.select(group=ENTRY_POINT_GROUP)}
            for ep in dist.entry_points.select(group=ENTRY_POINT_GROUP):
                if ep.name not in found:
                    yield HiddenPlugin(
                        source=_source(ep.name, dist), hidden_by=str(_folder(shadow) or shadow)
                    )


def _scan_one_by_one() -> Iterator[tuple[PluginSource, EntryPoint | PluginFailure]]:
    seen = set()
    for dist in distributions():
        name = _name(dist)
        if name in seen:  # the first one on the path hides others of the same name
            continue
        seen.add(name)
        try:
            for ep in dist.entry_points.select(group=ENTRY_POINT_GROUP):
                yield _source(ep.name, dist), ep
        except Exception as error:  # noqa: BLE001  # any error in that file
            if _may_hold_plugins(dist):
                broken = _source(name, dist)
                cause = ValueError(f"its {_FILE} cannot be read: {describe(error)}")
                yield broken, PluginFailure(source=broken, cause=cause)


def _may_hold_plugins(dist: Any) -> bool:
    try:
        text = dist.read_text(_FILE)
    except Exception:  # noqa: BLE001  # it is not text, so nobody knows
        return True
    return f"[{ENTRY_POINT_GROUP}]" in (text or "")


def _source(name: str, dist: Any) -> PluginSource:
    found: Any = {}
    with contextlib.suppress(Exception):  # a distribution that was only partly removed
        # Read once, since each access parses the file again.
        found = dist.metadata or {}
    folder = _folder(dist)
    return PluginSource(
        name=name,
        distribution=found.get("Name") or (folder and folder.name) or "an unknown distribution",
        version=found.get("Version") or "without a version",
    )


def _name(dist: Any) -> str:
    """Return the normal name of a distribution, by its folder, without reading its metadata."""
    folder = _folder(dist)
    if folder is None:
        return normalise(_source("", dist).distribution)
    return normalise(folder.name.removesuffix(".egg-info").partition("-")[0])


def _folder(dist: Any) -> Path | None:
    """Return the folder or file of a distribution's metadata, or None if it has none."""
    path = getattr(dist, "_path", None)  # there is no public way to it
    return None if path is None else Path(str(path))
