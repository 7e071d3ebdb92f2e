"""The data that hooks return, and the marker that makes a function a hook."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pluggy

ENTRY_POINT_GROUP = "wagtail_vector_index"

#: The version of the plugin API. Each plugin module has its own ``API_VERSION``: the version
#: that the plugin is written for.
API_VERSION = 1

hookspec = pluggy.HookspecMarker(ENTRY_POINT_GROUP)
hookimpl = pluggy.HookimplMarker(ENTRY_POINT_GROUP)

_MODULE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class BackendSpec:
    """Describes a backend: its class and its requirements. Nothing is imported for it.

    Args:
        path: dotted path of the backend class.
        requires: names of modules that must be importable, such as ``("qdrant_client",)``.
        django_apps: Django apps that ``INSTALLED_APPS`` must contain.
        summary: one line for ``manage.py vector_backends``.
        install: the requirement to ``pip install`` if a module of ``requires`` is missing, such
            as ``"acme-vectors[client]"``. The default is the plugin's own distribution.

    Example::

        BackendSpec(path="acme_vectors.AcmeBackend", requires=("acme",))

    Raises:
        TypeError: a field has the wrong type. ``requires`` and ``django_apps`` must be tuples,
            even with a single string.
        ValueError: ``path`` is not a dotted path, or ``requires`` or ``django_apps`` holds
            something other than the name of a module, such as the name of a distribution.
    """

    path: str
    requires: tuple[str, ...] = ()
    django_apps: tuple[str, ...] = ()
    summary: str = ""
    install: str = ""

    def __post_init__(self) -> None:
        for name in ("path", "summary", "install"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"BackendSpec.{name} must be a str, not {getattr(self, name)!r}.")
        for name in ("requires", "django_apps"):
            value = getattr(self, name)
            if not isinstance(value, tuple) or not all(isinstance(item, str) for item in value):
                raise TypeError(f"BackendSpec.{name} must be a tuple of str, not {value!r}.")
            for item in value:
                if not _MODULE.fullmatch(item):
                    raise ValueError(f"BackendSpec.{name} must name modules, not {item!r}.")
        if "." not in self.path or not _MODULE.fullmatch(self.path):
            raise ValueError(f"BackendSpec.path must be a dotted path, not {self.path!r}.")
