"""Distributions invented for a test, which the real ``importlib_metadata`` finds."""

import sys
import textwrap

from wagtail_vector_index.plugins import discovery, scanning
from wagtail_vector_index.plugins.handlers import HANDLERS

#: The beginning of a plugin module.
PLUGIN = """
from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1
"""

#: A plugin that offers nothing.
EMPTY_PLUGIN = f"{PLUGIN}\n@hookimpl\ndef vector_backends():\n    return {{}}\n"

#: A vector backend that does nothing, for a module of a plugin.
BACKEND = """
from dataclasses import dataclass

from wagtail_vector_index.backends.base import VectorBackend


class AcmeBackend(VectorBackend):
    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        host: str = ""
        api_key: str = ""
        timeout: float = 1.0

    closed = False

    def close(self):
        self.closed = True

    def _create(self, spec): ...
    def _drop(self, spec): ...
    def _collections(self): return []
    def _upsert(self, spec, batch): ...
    def _delete(self, spec, ids): ...
    def _search(self, spec, vector, limit, filter, min_score): return []
    def _count(self, spec, filter): return 0
    def _get(self, spec, ids): ...
    def _scan(self, spec, batch_size): return iter(())
"""


def offering(kind, **specs):
    """Return the source of a plugin that offers backends: ``acme='path="acme.Acme"'``."""
    offered = ", ".join(f"{name!r}: BackendSpec({spec})" for name, spec in specs.items())
    return f"{PLUGIN}\n@hookimpl\ndef {kind}_backends():\n    return {{{offered}}}\n"


def clear():
    """Forget plugins and backends."""
    discovery.clear_cache()
    for handler in HANDLERS:
        handler.close_all()
        handler.reset()


class Site:
    """A site to which a test adds distributions, and from which it can hide real ones.

    Args:
        folder: the folder for the distributions.
        monkeypatch: pytest's fixture, which undoes all changes.
    """

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.monkeypatch = monkeypatch
        self.modules = []

    def install(self, name, entry_points, *, version="1.0", metadata=None, **modules):
        """Install a distribution.

        ``entry_points`` maps names to values, or is the content of the file. Modules are
        sources by name, or by path such as ``"package/__init__"``.
        """
        folder = self.folder / f"{name}-{version}"
        info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir(parents=True)
        if metadata is None:
            metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
        if metadata:
            (info / "METADATA").write_text(metadata)
        if not isinstance(entry_points, str | bytes):
            lines = (f"{key} = {value}" for key, value in entry_points.items())
            entry_points = "\n".join(["[wagtail_vector_index]", *lines, ""])
        if isinstance(entry_points, str):
            entry_points = entry_points.encode()
        (info / "entry_points.txt").write_bytes(entry_points)
        for module, source in modules.items():
            path = folder / f"{module}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(textwrap.dedent(source))
            self.modules += [module.replace("/", "."), module.partition("/")[0]]
        self.monkeypatch.syspath_prepend(str(folder))
        clear()

    def hide(self, *names):
        """Hide these distributions as if they were not installed; without names, hide all."""
        real = scanning.entry_points
        prefix = str(self.folder)

        def entry_points(group):
            return [ep for ep in real(group=group) if not hidden(ep.dist)]

        def hidden(dist):
            return dist.name in names or not (names or str(dist.locate_file("")).startswith(prefix))

        self.monkeypatch.setattr(scanning, "entry_points", entry_points)
        clear()

    def close(self):
        """Forget the modules that were imported."""
        for module in self.modules:
            sys.modules.pop(module, None)


def make_site(tmp_path, monkeypatch):
    """Yield a site and clean up after it; use it as the body of a fixture, with ``yield from``."""
    site = Site(tmp_path / "site-packages", monkeypatch)
    yield site
    site.close()
    monkeypatch.undo()
    clear()
