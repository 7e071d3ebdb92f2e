"""Text of a field, an attribute or a method of an object, whatever kind of value it gives."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.core.files import File
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Field, Manager, Model, QuerySet
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.utils.functional import Promise

from .html import html_to_text
from .stream import block_of, stream_to_text

__all__ = ["field_to_text", "raw_value", "value_to_text"]

_TO_ONE = (ForwardManyToOneDescriptor, ReverseOneToOneDescriptor)
_MISSING = object()


def value_to_text(value: Any) -> str:
    """The text of a value, ``""`` for ``None``.

    Rich text and StreamField values give their prose; plain strings, safe or not, are left as
    they are. Objects are named by ``str()``; several objects (a manager, a queryset, a list of
    instances) by their names with commas between. Other collections stand on a line for each
    item, mappings on a line for each ``key: value``. Booleans and bytes give ``""``: there is
    nothing in them to read.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, bool | bytes | bytearray | memoryview):
        return ""
    if isinstance(value, Model | Promise):
        return str(value)
    if isinstance(value, File):
        return value.name or ""  # its content is not read
    if isinstance(value, Manager | QuerySet):
        return _items_to_text(_objects(value))
    return _content_to_text(value)


def field_to_text(instance: Any, field_name_path: str) -> str:
    """The text behind a path of names such as ``"title"``, ``"author__name"``, ``"get_summary"``.

    A model field is read as what it is: rich text and StreamField as prose, a field with choices
    as the label. Methods are called without arguments. Through a relation to many, the texts of
    all objects stand on lines of their own; a relation that leads nowhere gives ``""``.

    Raises ``AttributeError``, naming model and path, where there is nothing of that name.
    """
    name, _, rest = field_name_path.partition("__")
    try:
        return _text_at(instance, name, rest)
    except _NoAttribute as error:
        message = f"{error.model} has no attribute {error.name!r} (in {field_name_path!r})."
        raise AttributeError(message, name=error.name, obj=error.obj) from None


def raw_value(instance: Any, field_name: str) -> str | None:
    """What the field's column holds, as a text to compare: cheap, and not meant for reading.

    ``None`` for anything but a column of the object's own: relations, properties, methods,
    paths. (The foreign key's column, ``author_id``, is one.) No blocks of a StreamField are
    made; where they have been, they may differ from what is stored, so take the raw value before
    the text. SQL's NULL gives ``""``.
    """
    field = _own_field(instance, field_name)
    if field is None:
        return None
    value = getattr(instance, field.attname)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if _is_stream(value):
        return _stream_to_json(value)
    text: object = field.value_to_string(instance)
    return text if isinstance(text, str) else _to_json(text)


class _NoAttribute(Exception):
    """There is no such attribute; for the message that names the whole path."""

    def __init__(self, obj: object, name: str) -> None:
        super().__init__(name)
        self.obj = obj
        self.name = name
        meta = getattr(obj, "_meta", None)
        self.model = meta.label if meta else type(obj).__name__


def _text_at(obj: Any, name: str, rest: str) -> str:
    if not rest:
        return _attribute_to_text(obj, name)
    following, _, rest = rest.partition("__")
    value = _attribute(obj, name)
    if value is None:
        return ""
    if not _is_many(value):
        return _text_at(value, following, rest)
    texts = (_text_at(item, following, rest) for item in _objects(value) if item is not None)
    return "\n".join(filter(None, texts))


def _attribute_to_text(obj: Any, name: str) -> str:
    field = _own_field(obj, name)
    if field is not None and field.name == name:
        if field.flatchoices:
            label = getattr(obj, f"get_{name}_display")()
            return "" if label is None else str(label)
        if _is_rich_text(field):
            return html_to_text(str(getattr(obj, name) or ""))
    return value_to_text(_attribute(obj, name))


def _attribute(obj: Any, name: str) -> Any:
    """The attribute, called if it is a method; ``None`` where a relation leads nowhere."""
    declared = inspect.getattr_static(type(obj), name, None)
    try:
        value = getattr(obj, name)
    except ObjectDoesNotExist:
        if isinstance(declared, _TO_ONE):
            return None
        raise
    except AttributeError:
        if declared is None and inspect.getattr_static(obj, name, _MISSING) is _MISSING:
            raise _NoAttribute(obj, name) from None
        raise  # from within a property: that one says what is wrong
    # Managers can be called too, with something else in mind.
    if callable(value) and not isinstance(value, Manager | type):
        if getattr(value, "alters_data", False):
            raise TypeError(f"{type(obj).__name__}.{name} changes data: it is not content.")
        return value()
    return value


def _is_many(value: object) -> bool:
    return isinstance(value, Manager) or (
        isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping | Model)
    )


def _objects(value: Any) -> list[Any]:
    """The items of a manager, queryset or collection, in an order that is the same each time."""
    if not isinstance(value, Manager | QuerySet):
        return list(value)
    # Of a queryset, too, since one that hangs on a class keeps its first answer.
    queryset = value.all()
    items = list(queryset)
    if not queryset.ordered and all(isinstance(item, Model) for item in items):
        # Sorted here rather than by the database, which would pass by what was prefetched.
        items.sort(key=lambda item: (item.pk is None, item.pk))
    return items


def _content_to_text(value: Any) -> str:
    from wagtail.blocks import BoundBlock
    from wagtail.rich_text import RichText

    if isinstance(value, RichText):
        return html_to_text(value.source)
    if isinstance(value, BoundBlock):
        return stream_to_text(value.value, value.block)
    if (block := block_of(value)) is not None:
        return stream_to_text(value, block)
    if isinstance(value, Mapping):
        return "\n".join(_entries(value))
    if _is_many(value):
        return _items_to_text(_objects(value))
    return str(value)  # a number, a date, …


def _entries(value: Mapping[Any, Any]) -> Iterator[str]:
    for key, entry in value.items():
        if text := value_to_text(entry):
            yield f"{key}: {text}"


def _items_to_text(items: list[Any]) -> str:
    separator = ", " if all(isinstance(item, Model) for item in items) else "\n"
    return separator.join(filter(None, map(value_to_text, items)))


def _own_field(instance: Any, name: str) -> Field[Any, Any] | None:
    """The field of that column, if the object has one and it is no relation.

    A foreign key has two names; by that of its column it is a plain value.
    """
    meta = getattr(instance, "_meta", None)
    if meta is None:
        return None
    try:
        field = meta.get_field(name)
    except FieldDoesNotExist:
        return None
    if not getattr(field, "concrete", False) or (field.is_relation and name == field.name):
        return None
    return field  # type: ignore[no-any-return]


def _is_rich_text(field: object) -> bool:
    from wagtail.fields import RichTextField

    return isinstance(field, RichTextField)


def _is_stream(value: object) -> bool:
    from wagtail.blocks import StreamValue

    return isinstance(value, StreamValue)


def _stream_to_json(value: Any) -> str:
    if not value and value.raw_text is not None:
        return str(value.raw_text)
    # What StreamValue.get_prep_value() does, less the random ids that it gives to those without.
    bound_blocks = value._bound_blocks  # noqa: SLF001
    raw_data = value._raw_data  # noqa: SLF001
    pairs = zip(bound_blocks, raw_data, strict=True)
    return _to_json([raw if bound is None else bound.get_prep_value() for bound, raw in pairs])


def _to_json(value: object) -> str:
    # Sorted, since PostgreSQL gives keys back in an order of its own.
    return json.dumps(value, cls=DjangoJSONEncoder, sort_keys=True, ensure_ascii=False)
