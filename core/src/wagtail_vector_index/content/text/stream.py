"""Prose out of StreamField: a walk over its blocks.

Wagtail's own ``get_searchable_content`` glues words and paragraphs of rich text together, gives
markup for tables, and nothing for raw HTML, images, dates and numbers. So each of Wagtail's
blocks has a reader here, and custom blocks have their ``get_searchable_content``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from .html import html_to_text

if TYPE_CHECKING:
    from wagtail.blocks import Block

__all__ = ["stream_to_text"]

_Reader: TypeAlias = "Callable[[Any, Any], Iterable[str]]"


def stream_to_text(value: Any, block: Block | None = None) -> str:
    """The text of a ``StreamValue``, or of the value of any other block, in document order.

    Blocks are separated by a blank line, rows of tables by a newline, cells by ``" | "``.
    ``block`` is only needed for a value that doesn't know its block, as plain strings don't.

    What a block with ``search_index=False`` holds is left out, and so are links, embeds,
    booleans, e-mail addresses, and the titles of chosen pages, documents and snippets: these may
    be private or unpublished, and change without this object being saved. Images give the
    alternative text that is rendered for them, unless they are decorative. A block class that
    defines ``get_searchable_content`` itself is taken at its word.
    """
    if block is None:
        block = block_of(value)
    if block is None:
        raise TypeError(f"A {type(value).__name__} doesn't know its block: pass it as well.")
    return "\n\n".join(_pieces(block, value))


def block_of(value: Any) -> Any:
    """The block that a value of StreamField belongs to, ``None`` for any other value."""
    from wagtail.blocks import StreamValue, StructValue
    from wagtail.blocks.list_block import ListValue

    if isinstance(value, StreamValue):
        return value.stream_block
    if isinstance(value, StructValue):
        return value.block
    if isinstance(value, ListValue):
        return value.list_block
    return None


def _pieces(block: Any, value: Any) -> Iterator[str]:
    """The texts of the blocks below this one, none of them blank."""
    if value is None or not _is_indexed(block):
        return
    for piece in _reader_of(block.__class__)(block, value):
        if stripped := piece.strip():
            yield stripped


def _is_indexed(block: Any) -> bool:
    # Blocks that don't take the argument keep it among their options.
    return bool(getattr(block, "search_index", True) and getattr(block.meta, "search_index", True))


@lru_cache(maxsize=1024)
def _reader_of(block_class: type) -> _Reader:
    """How to read blocks of this class: as its nearest ancestor that we or its author know."""
    for ancestor in block_class.__mro__:
        path = f"{ancestor.__module__}.{ancestor.__qualname__}"
        if path in READERS:
            return READERS[path]
        if "get_searchable_content" in vars(ancestor):
            break
    return _searchable_content


def _searchable_content(block: Any, value: Any) -> Iterator[str]:
    content = block.get_searchable_content(value)
    if isinstance(content, str):
        content = [content]
    yield from map(str, content)


def _stream(block: Any, value: Any) -> Iterator[str]:
    for child in value:
        yield from _pieces(child.block, child.value)


def _struct(block: Any, value: Any) -> Iterator[str]:
    # A subclass may make objects of a class of its own.
    is_mapping = isinstance(value, Mapping)
    for name, child_block in block.child_blocks.items():
        child = value.get(name) if is_mapping else getattr(value, name, None)
        yield from _pieces(child_block, child)


def _list(block: Any, value: Any) -> Iterator[str]:
    for item in value:
        yield from _pieces(block.child_block, item)


def _plain(block: Any, value: Any) -> Iterator[str]:
    yield str(value)


def _rich_text(block: Any, value: Any) -> Iterator[str]:
    # A string, where a block's default was never converted.
    yield html_to_text(str(getattr(value, "source", value)))


def _raw_html(block: Any, value: Any) -> Iterator[str]:
    yield html_to_text(str(value))


def _choice(block: Any, value: Any) -> Iterator[str]:
    yield ", ".join(_labels(block, [value]))


def _choices(block: Any, value: Any) -> Iterator[str]:
    yield ", ".join(_labels(block, value))


def _labels(block: Any, values: Iterable[Any]) -> list[str]:
    """What the editor chose from the list, as it read there. Unknown values have no label."""
    labels: dict[str, str] = {}
    for key, label in block.field.choices:
        options = label if isinstance(label, list | tuple) else [(key, label)]
        labels.update((str(option), str(text)) for option, text in options)
    chosen = (str(value) for value in values if value not in (None, ""))
    return [labels[key] for key in chosen if key in labels]


def _image(block: Any, value: Any) -> Iterator[str]:
    yield str(value.default_alt_text)


def _image_with_alt_text(block: Any, value: Any) -> Iterator[str]:
    if not value.decorative:
        yield str(value.contextual_alt_text or value.default_alt_text)


def _table(block: Any, value: Any) -> Iterator[str]:
    # Whether a cell holds markup is an option of the block.
    read = html_to_text if block.is_html_renderer() else str
    rows = (
        [read(str(cell)) for cell in row if cell is not None] for row in value.get("data") or []
    )
    yield _lines(str(value.get("table_caption") or ""), rows)


def _typed_table(block: Any, value: Any) -> Iterator[str]:
    blocks = [column["block"] for column in value.columns]
    headings = [str(column["heading"] or "") for column in value.columns]
    rows = (
        [" ".join(_pieces(*pair)) for pair in zip(blocks, row["values"], strict=False)]
        for row in value.row_data
    )
    yield _lines(str(value.caption or ""), [headings, *rows])


def _lines(caption: str, rows: Iterable[Sequence[str]]) -> str:
    """One line for the caption and one for each row. Empty cells and rows are left out."""
    lines = [" ".join(caption.split())]
    for row in rows:
        cells = (" ".join(cell.split()) for cell in row)
        lines.append(" | ".join(filter(None, cells)))
    return "\n".join(filter(None, lines))


#: By name, not by class: neither Wagtail's models nor its optional apps are imported for this.
READERS: dict[str, _Reader] = {
    "wagtail.blocks.stream_block.BaseStreamBlock": _stream,
    "wagtail.blocks.struct_block.BaseStructBlock": _struct,
    "wagtail.blocks.list_block.ListBlock": _list,
    "wagtail.blocks.field_block.CharBlock": _plain,
    "wagtail.blocks.field_block.TextBlock": _plain,  # and BlockQuoteBlock below it
    "wagtail.blocks.field_block.RegexBlock": _plain,
    "wagtail.blocks.field_block.DateBlock": _plain,
    "wagtail.blocks.field_block.TimeBlock": _plain,
    "wagtail.blocks.field_block.DateTimeBlock": _plain,
    "wagtail.blocks.field_block.IntegerBlock": _plain,
    "wagtail.blocks.field_block.FloatBlock": _plain,
    "wagtail.blocks.field_block.DecimalBlock": _plain,
    "wagtail.blocks.field_block.RichTextBlock": _rich_text,
    "wagtail.blocks.field_block.RawHTMLBlock": _raw_html,
    "wagtail.blocks.field_block.ChoiceBlock": _choice,
    "wagtail.blocks.field_block.MultipleChoiceBlock": _choices,
    "wagtail.images.blocks.ImageBlock": _image_with_alt_text,
    "wagtail.images.blocks.ImageChooserBlock": _image,
    "wagtail.contrib.table_block.blocks.TableBlock": _table,
    "wagtail.contrib.typed_table_block.blocks.BaseTypedTableBlock": _typed_table,
}
