"""The names of a new backend, all derived from the one by which sites select it."""

from __future__ import annotations

import keyword
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from .. import __version__
from ..conf import BackendKind
from ..plugins.discovery import registry
from ..plugins.resolving import KNOWN_BACKENDS, pip_command
from ..wording import article

__all__ = ["KINDS", "NewBackend"]

_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", re.ASCII)
_MAX_LENGTH = 40
#: The classes from which the backends that are started derive.
_BASES = ("VectorBackend", "EmbeddingBackend")


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """How names of a kind of backend end, and what it is in a few words."""

    distribution: str
    class_name: str
    summary: str


KINDS: Mapping[BackendKind, _Kind] = {
    "vector": _Kind(
        distribution="wagtail-vectors",
        class_name="Backend",
        summary="Vector backend {name!r}",
    ),
    "embedding": _Kind(
        distribution="wagtail-embeddings",
        class_name="Embeddings",
        summary="Embedding backend {name!r}",
    ),
}


@dataclass(frozen=True, kw_only=True)
class NewBackend:
    """A backend that is to be started.

    Args:
        name: the short name by which sites will select it.
        kind: ``"vector"`` or ``"embedding"``.

    Raises:
        ValueError: the name cannot be used, and why.

    Example::

        >>> NewBackend(name="acme", kind="vector").distribution
        'acme-wagtail-vectors'
    """

    name: str
    kind: BackendKind

    def __post_init__(self) -> None:
        if problem := self._spelling_problem() or self._conflict():
            raise ValueError(f"{self.name!r} cannot be the name of a backend: {problem}")

    @property
    def distribution(self) -> str:
        """What is installed, and the name of its folder."""
        return f"{self.name.replace('_', '-')}-{KINDS[self.kind].distribution}"

    @property
    def package(self) -> str:
        """What is imported."""
        return self.distribution.replace("-", "_")

    @property
    def class_name(self) -> str:
        """The class that the settings lead to."""
        words = "".join(word.capitalize() for word in self.name.split("_"))
        return f"{words}{KINDS[self.kind].class_name}"

    def context(self) -> dict[str, str]:
        """What the templates name, by the words that they use."""
        major, minor, *_ = __version__.split(".")
        return {
            "name": self.name,
            "kind": self.kind,
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
        if self.class_name not in _BASES:
            return ""
        return f"its class {self.class_name} would be named like the one it derives from."

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
