"""Declarations of the parts of a source object to embed, and to filter by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..contract.filters import FIELD_TYPES, FieldType
from ..contract.spec import check_name
from ..exceptions import InvalidSpec

__all__ = ["EmbeddingField", "FilterField"]


@dataclass(frozen=True)
class EmbeddingField:
    """A part of a source object whose text is embedded.

    Args:
        name: a field, an attribute, a method without arguments, or a path such as
            ``"author__name"``. Rich text and StreamField values become prose.
        important: embed this text with every chunk, before the chunk. Use it for titles. What
            is longer than a quarter of a chunk is embedded once, before the other fields.
        reads: the relations through which a method or property reads other objects, as paths
            such as ``"blog_authors__author"``. When one of these objects changes, so does the
            text. The relations in ``name`` itself need not be listed.
        in_excerpts: whether excerpts may show this text. By default, they show prose, and leave
            out related objects such as tags and authors, choices, numbers and dates.

    Example::

        embedding_fields = [
            EmbeddingField("title", important=True),
            EmbeddingField("body"),
            EmbeddingField("tags"),
            EmbeddingField(
                "authors_text", reads=["blog_authors__author"], in_excerpts=False
            ),
        ]
    """

    name: str
    important: bool = field(default=False, kw_only=True)
    reads: Sequence[str] = field(default=(), kw_only=True)
    in_excerpts: bool | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _freeze_reads(self)


@dataclass(frozen=True)
class FilterField:
    """A part of a source object that searches can be filtered by.

    Args:
        name: the name to filter by.
        source: the origin of the value: a field, an attribute, a method without arguments, or
            a path such as ``"author__name"``. The default is ``name``.
        type: the type of the value. The default is the type of the model's field.
        reads: the relations through which a method or property reads other objects, as in
            `EmbeddingField`.

    Example::

        vector_filter_fields = ["locale", FilterField("author", source="author__name", type="str")]
    """

    name: str
    source: str = field(default="", kw_only=True)
    type: FieldType | None = field(default=None, kw_only=True)
    reads: Sequence[str] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        _freeze_reads(self)
        if not self.source:
            object.__setattr__(self, "source", self.name)

    def check(self) -> None:
        """Check the name and the type. Called late, so that a system check can report errors.

        Raises:
            InvalidSpec: the name or the type is not allowed.
        """
        check_name(self.name, "name of a filter field")
        if self.type is not None and self.type not in FIELD_TYPES:
            raise InvalidSpec(
                f"{self.name}: type must be one of {', '.join(FIELD_TYPES)}, not {self.type!r}."
            )

    @classmethod
    def of(cls, value: Any) -> FilterField:
        """Return the field that a declaration means: a name, or a `FilterField`."""
        return value if isinstance(value, FilterField) else cls(value)


def _freeze_reads(declared: EmbeddingField | FilterField) -> None:
    """Make a tuple of a list, since fields can be hashed. Anything else is refused later."""
    if isinstance(declared.reads, list):
        object.__setattr__(declared, "reads", tuple(declared.reads))
