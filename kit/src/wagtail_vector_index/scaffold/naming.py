"""The names of a new backend, all derived from the name by which sites select it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from wagtail_vector_index import __version__
from wagtail_vector_index.plugins.discovery import registry
from wagtail_vector_index.plugins.resolving import KNOWN_BACKENDS, pip_command
from wagtail_vector_index.wording import article

__all__ = ["KINDS", "STORES", "TEMPLATES", "Kind", "NewBackend", "Store"]

TEMPLATES = Path(__file__).with_name("templates")

Kind = Literal["vector", "embedding"]

#: What keeps the vectors of a vector backend.
Store = Literal["library", "sql", "service"]

#: The folders of templates for each store, beside those for every vector backend.
STORES: Mapping[Store, tuple[str, ...]] = {
    "library": ("exact", "library"),
    "sql": ("exact", "sql"),
    "service": ("service",),
}

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_MAX_LENGTH = 40
#: The line of a template in which a new class derives from its base classes.
_BASES = re.compile(r"^class \{\{ class_name \}\}\((.+)\):$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class _Names:
    """The endings of names, and the description, of one kind of backend."""

    distribution: str
    class_name: str
    summary: str


KINDS: Mapping[Kind, _Names] = {
    "vector": _Names(
        distribution="wagtail-vectors",
        class_name="Backend",
        summary="Vector backend {name!r}",
    ),
    "embedding": _Names(
        distribution="wagtail-embeddings",
        class_name="Embeddings",
        summary="Embedding backend {name!r}",
    ),
}


@dataclass(frozen=True, kw_only=True)
class NewBackend:
    """A backend that does not exist yet, with all its names.

    Args:
        name: the short name by which sites will select it.
        kind: ``"vector"`` or ``"embedding"``.
        store: what keeps the vectors of a vector backend: ``"library"`` in the process, which is
            the default, a database that speaks ``"sql"``, or a ``"service"`` behind HTTP.

    Raises:
        ValueError: the name cannot be used, or there is no such store. The message says why.

    Example::

        >>> NewBackend(name="acme", kind="vector").distribution
        'acme-wagtail-vectors'
    """

    name: str
    kind: Kind
    store: Store | None = None

    def __post_init__(self) -> None:
        if self.store is not None and self.kind != "vector":
            raise ValueError(
                f"{article(self.kind).capitalize()} backend stores no vectors. Leave out --store."
            )
        if problem := self._spelling_problem() or self._conflict():
            raise ValueError(f"{self.name!r} cannot be the name of a backend: {problem}")

    @property
    def distribution(self) -> str:
        """The name of the distribution, and of its folder."""
        return f"{self.name.replace('_', '-')}-{KINDS[self.kind].distribution}"

    @property
    def package(self) -> str:
        """The name of the package to import."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The name of the backend's class."""
        words = "".join(word.capitalize() for word in self.name.split("_"))
        return f"{words}{KINDS[self.kind].class_name}"

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of its templates."""
        of_store = STORES[self.store or "library"] if self.kind == "vector" else ()
        return ("common", self.kind, *of_store)

    def context(self) -> dict[str, str]:
        """Return the variables of the templates."""
        major, minor, *_ = __version__.split(".")
        return {
            "name": self.name,
            "kind": self.kind,
            "store": self.folders[-1],
            "distribution": self.distribution,
            "package": self.package,
            "class_name": self.class_name,
            "summary": KINDS[self.kind].summary.format(name=self.name),
            "core": f">={major}.{minor},<{int(major) + 1}",
        }

    def _spelling_problem(self) -> str:
        if keyword.iskeyword(self.name):
            return "it is a keyword of Python."
        if _is_well_spelt(self.name):
            return self._class_problem()
        rule = (
            f"use 1 to {_MAX_LENGTH} lower-case ASCII letters, digits and single underscores,"
            " beginning with a letter."
        )
        spelt = re.sub(r"[-_. ]+", "_", self.name.lower()).strip("_")
        usable = _is_well_spelt(spelt) and not keyword.iskeyword(spelt)
        return f"{rule} Did you mean {spelt!r}?" if usable else rule

    def _class_problem(self) -> str:
        if self.class_name not in self._bases():
            return ""
        return f"its class would be {self.class_name}, which is the name of the base class."

    def _bases(self) -> set[str]:
        modules = (TEMPLATES / folder / "src/package/backend.py-tpl" for folder in self.folders)
        texts = (module.read_text(encoding="utf-8") for module in modules if module.exists())
        return {
            base for text in texts for line in _BASES.findall(text) for base in line.split(", ")
        }

    def _conflict(self) -> str:
        offers = registry().offers(self.kind, self.name)
        if offers:
            owner = f"the {offers[0].plugin.source}"
        elif self.name in KNOWN_BACKENDS[self.kind]:
            owner = f"a plugin of this project ({pip_command(self.name)})"
        elif find_spec(self.package) is not None:
            return f"there is a package {self.package!r} already. Choose another name."
        else:
            return ""
        return f"{owner} offers {article(self.kind)} backend of that name. Choose another."


def _is_well_spelt(name: str) -> bool:
    return len(name) <= _MAX_LENGTH and _NAME.fullmatch(name) is not None
