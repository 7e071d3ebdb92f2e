"""Extracts prose from the blocks of a StreamField.

Wagtail's own ``get_searchable_content`` joins words and paragraphs of rich text without spaces,
returns markup for tables, and returns nothing for raw HTML, images, dates and numbers. So each of
Wagtail's blocks has a reader here. Custom blocks are read by their ``get_searchable_content``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from .html import html_to_text

if TYPE_CHECKING:
    from wagtail.blocks import Block

__all__ = ["convert_streams", "stream_to_text"]

_Reader: TypeAlias = "Callable[[Any, Any], Iterable[str]]"


def stream_to_text(value: Any, block: Block | None = None) -> str:
    """Return the text of a ``StreamValue``, or of another block's value, in document order.

    Blank lines separate blocks, newlines separate rows of tables, and ``" | "`` separates cells.
    ``block`` is only needed for a value without a reference to its block, such as a plain string.

    The text leaves out blocks with ``search_index=False``, links, embeds, booleans, e-mail
    addresses, and the titles of chosen pages, documents and snippets. Chosen objects may be
    private or unpublished, and may change while this object is not saved. The text of an image is
    the alternative text that is rendered for it, unless the image is decorative. The text of a
    block class with its own ``get_searchable_content`` is what that method returns.
    """
    if block is None:
        block = block_of(value)
    if block is None:
        raise TypeError(f"A {type(value).__name__} does not know its block. Pass the block too.")
    return "\n\n".join(_pieces(block, value))


def convert_streams(instances: Iterable[Any], name: str) -> None:
    """Convert the blocks of a StreamField of many objects, fetching what is chosen in few queries.

    Wagtail converts the blocks of one object when they are first read, with queries of their own.
    Blocks without text, such as a chosen page, stay as they are.
    """
    from wagtail.blocks import StreamValue

    by_block: dict[int, list[Any]] = defaultdict(list)  # blocks themselves cannot be hashed
    for instance in {id(instance): instance for instance in instances}.values():
        value = vars(instance).get(name)
        if isinstance(value, StreamValue) and value.is_lazy:
            by_block[id(value.stream_block)].append(value)
    for values in by_block.values():
        # The places of the blocks of each kind: the stream, the position in it, the stored value.
        places: dict[str, list[tuple[Any, int, Any]]] = defaultdict(list)
        for value in values:
            bound = value._bound_blocks  # noqa: SLF001
            for position, raw in enumerate(value._raw_data):  # noqa: SLF001
                if bound[position] is None:
                    places[raw["type"]].append((value, position, raw))
        for kind, block in values[0].stream_block.child_blocks.items():
            if kind in places and _has_text(block):
                _convert_children(places[kind], block)


def _convert_children(places: Sequence[tuple[Any, int, Any]], block: Any) -> None:
    """Convert the child blocks of one kind, as a stream does with its own when they are read."""
    converted = block.bulk_to_python([raw["value"] for _, _, raw in places])
    for (value, position, raw), native in zip(places, converted, strict=True):
        child = value.StreamChild(block, native, id=raw.get("id"))
        value._bound_blocks[position] = child  # noqa: SLF001


def block_of(value: Any) -> Any:
    """Return the block of a StreamField's value, or None for any other value."""
    name = _block_attribute(value.__class__)
    return getattr(value, name) if name else None


@lru_cache(maxsize=1024)
def _block_attribute(value_class: type) -> str:
    """Return the name of the attribute that holds the block of a value, or "" if it has none."""
    from wagtail.blocks import StreamValue, StructValue
    from wagtail.blocks.list_block import ListValue

    if issubclass(value_class, StreamValue):
        return "stream_block"
    if issubclass(value_class, StructValue):
        return "block"
    return "list_block" if issubclass(value_class, ListValue) else ""


def _pieces(block: Any, value: Any) -> list[str]:
    """Return the texts of a block's value that are not blank."""
    if value is None or not _is_indexed(block):
        return []
    read = _reader_of(block.__class__)
    return [stripped for piece in read(block, value) if (stripped := piece.strip())]


def _is_indexed(block: Any) -> bool:
    # A block class that does not accept the argument keeps it in its ``meta``.
    return bool(getattr(block, "search_index", True) and getattr(block.meta, "search_index", True))


def _has_text(block: Any) -> bool:
    return _is_indexed(block) and not _is_mute(block.__class__)


@lru_cache(maxsize=1024)
def _is_mute(block_class: type) -> bool:
    """Return whether the blocks of a class never have text, as those that choose a page."""
    from wagtail.blocks import Block

    inherited = getattr(block_class, "get_searchable_content", None)
    is_silent = inherited is Block.get_searchable_content
    return is_silent and _reader_of(block_class) is _searchable_content


@lru_cache(maxsize=1024)
def _reader_of(block_class: type) -> _Reader:
    """Return the reader of the nearest ancestor class with a reader here or text of its own."""
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
    # The value of a subclass may be a list of blocks.
    for position, bound in enumerate(getattr(value, "_bound_blocks", value)):
        child = bound
        if child is None:
            # Reading a child would fetch what is chosen in it.
            if not _has_text(block.child_blocks[value.raw_data[position]["type"]]):
                continue
            child = value[position]
        yield from _pieces(child.block, child.value)


def _struct(block: Any, value: Any) -> Iterator[str]:
    # The value of a subclass may be an object of another class.
    is_mapping = isinstance(value, Mapping)
    for name, child_block in block.child_blocks.items():
        child = value.get(name) if is_mapping else getattr(value, name, None)
        yield from _pieces(child_block, child)


def _list(block: Any, value: Any) -> Iterator[str]:
    for item in value:
        yield from _pieces(block.child_block, item)


def _plain(block: Any, value: Any) -> tuple[str]:
    return (str(value),)


def _rich_text(block: Any, value: Any) -> tuple[str]:
    # The value is a string if a block's default was never converted.
    return (html_to_text(str(getattr(value, "source", value))),)


def _raw_html(block: Any, value: Any) -> tuple[str]:
    return (html_to_text(str(value)),)


def _choice(block: Any, value: Any) -> tuple[str]:
    return (", ".join(_labels(block, [value])),)


def _choices(block: Any, value: Any) -> tuple[str]:
    return (", ".join(_labels(block, value)),)


def _labels(block: Any, values: Iterable[Any]) -> list[str]:
    """Return the labels of the chosen values, as the editor saw them, if they have one."""
    labels: dict[str, str] = {}
    for key, label in block.field.choices:
        options = label if isinstance(label, list | tuple) else [(key, label)]
        labels.update((str(option), str(text)) for option, text in options)
    chosen = (str(value) for value in values if value not in (None, ""))
    return [labels[key] for key in chosen if key in labels]


def _image(block: Any, value: Any) -> tuple[str]:
    return (str(value.default_alt_text),)


def _image_with_alt_text(block: Any, value: Any) -> tuple[str, ...]:
    if value.decorative:
        return ()
    return (str(value.contextual_alt_text or value.default_alt_text),)


def _table(block: Any, value: Any) -> tuple[str]:
    # An option of the block decides whether cells hold markup.
    read = html_to_text if block.is_html_renderer() else str
    rows = (
        [read(str(cell)) for cell in row if cell is not None] for row in value.get("data") or []
    )
    return (_lines(str(value.get("table_caption") or ""), rows),)


def _typed_table(block: Any, value: Any) -> tuple[str]:
    blocks = [column["block"] for column in value.columns]
    headings = [str(column["heading"] or "") for column in value.columns]
    rows = (
        [" ".join(_pieces(*pair)) for pair in zip(blocks, row["values"], strict=False)]
        for row in value.row_data
    )
    return (_lines(str(value.caption or ""), [headings, *rows]),)


def _lines(caption: str, rows: Iterable[Sequence[str]]) -> str:
    """Return a line for the caption and a line for each row, without empty cells and rows."""
    lines = [" ".join(caption.split())]
    for row in rows:
        cells = (" ".join(cell.split()) for cell in row)
        lines.append(" | ".join(filter(None, cells)))
    return "\n".join(filter(None, lines))


#: Readers by name instead of class, so that Wagtail's models and optional apps are not imported.
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
