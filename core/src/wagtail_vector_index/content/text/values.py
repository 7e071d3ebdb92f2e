"""Extracts the text of a field, an attribute or a method, whatever its value is."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from django.core.exceptions import FieldDoesNotExist, ObjectDoesNotExist
from django.core.files import File
from django.db.models import (
    CharField,
    EmailField,
    Field,
    Manager,
    Model,
    QuerySet,
    SlugField,
    TextField,
    URLField,
)
from django.db.models.fields.related_descriptors import (
    ForwardManyToOneDescriptor,
    ReverseOneToOneDescriptor,
)
from django.utils.functional import Promise

from .html import html_to_text
from .stream import block_of, stream_to_text

__all__ = ["FieldText", "field_to_text", "read_field", "value_to_text"]

_TO_ONE = (ForwardManyToOneDescriptor, ReverseOneToOneDescriptor)
_MISSING = object()

#: The columns whose text is prose, and those among them whose text is not.
_PROSE = (CharField, TextField)
_NO_PROSE = (EmailField, SlugField, URLField)

# Made once, since ``isinstance(value, A | B)`` would make a union for each value.
_SILENT = (bool, bytes, bytearray, memoryview)
_SINGLE = (str, bytes, Mapping, Model)
_NOT_TO_CALL = (Manager, type)


class FieldText(NamedTuple):
    """The text of a field, and whether it is a label: a name, a tag or a number, no prose."""

    text: str
    is_label: bool


def value_to_text(value: Any) -> str:
    """Return the text of a value, or ``""`` for ``None``.

    The text of rich text and StreamField values is their prose. Plain strings, safe or not, stay
    as they are. The text of an object is its ``str()``, and several objects (a manager, a
    queryset, a list of instances) are separated by commas. Other collections have a line for
    each item, mappings a line for each ``key: value``. Booleans and bytes give ``""``, because
    they hold nothing to read.
    """
    if isinstance(value, str):
        return value
    if value is None or isinstance(value, _SILENT):
        return ""
    if isinstance(value, (Model, Promise)):
        return str(value)
    if isinstance(value, File):
        return value.name or ""  # its content is not read
    if isinstance(value, (Manager, QuerySet)):
        return _items_to_text(_objects(value))
    return _content_to_text(value)


def field_to_text(instance: Any, field_name_path: str) -> str:
    """Return the text at a path such as ``"title"``, ``"author__name"`` or ``"get_summary"``.

    Rich text and StreamField give prose, a field with choices gives the label. Methods are called
    without arguments. A relation to several objects gives one line for the text of each object. A
    relation to no object gives ``""``.

    Raises:
        AttributeError: there is no such attribute. The message has the model and the path.
    """
    return read_field(instance, field_name_path).text


def read_field(instance: Any, field_name_path: str) -> FieldText:
    """Return the text at a path, as `field_to_text` does, and whether it is a label.

    Related objects, choices, numbers and dates are labels. So are short texts of related objects,
    such as the name of an author. Texts that methods return are prose.

    Raises:
        AttributeError: there is no such attribute. The message has the model and the path.
    """
    name, _, rest = field_name_path.partition("__")
    try:
        return _text_at(instance, name, rest)
    except _NoAttribute as error:
        message = f"{error.model} has no attribute {error.name!r} (in {field_name_path!r})."
        raise AttributeError(message, name=error.name, obj=error.obj) from None


class _NoAttribute(Exception):
    """An attribute is missing. The caller turns this into an error with the whole path."""

    def __init__(self, obj: object, name: str) -> None:
        super().__init__(name)
        self.obj = obj
        self.name = name
        meta = getattr(obj, "_meta", None)
        self.model = meta.label if meta else type(obj).__name__


def _text_at(obj: Any, name: str, rest: str) -> FieldText:
    if not rest:
        return _attribute_to_text(obj, name)
    following, _, rest = rest.partition("__")
    value = _attribute(obj, name)
    if value is None:
        return FieldText("", is_label=True)
    if not _is_many(value):
        found = _text_at(value, following, rest)
        if not found.is_label and isinstance(_own_field(value, following), CharField):
            return FieldText(found.text, is_label=True)
        return found
    texts = (_text_at(item, following, rest).text for item in _objects(value) if item is not None)
    return FieldText("\n".join(filter(None, texts)), is_label=True)


def _attribute_to_text(obj: Any, name: str) -> FieldText:
    field = _own_field(obj, name)
    if field is not None and field.name == name:
        if field.flatchoices:
            label = getattr(obj, f"get_{name}_display")()
            return FieldText("" if label is None else str(label), is_label=True)
        kind: Any = field.__class__
        if _holds_rich_text(kind):
            return FieldText(html_to_text(str(getattr(obj, name) or "")), is_label=False)
    value = _attribute(obj, name)
    return FieldText(value_to_text(value), is_label=_is_label(field, value))


def _is_label(field: Field[Any, Any] | None, value: Any) -> bool:
    if isinstance(value, (str, Promise)):
        is_prose = field is None or isinstance(field, _PROSE)
        return isinstance(field, _NO_PROSE) or not is_prose
    return not _is_rich_text(value.__class__) and block_of(value) is None


def _attribute(obj: Any, name: str) -> Any:
    """Return the attribute, called if it is a method. A relation to no object gives None."""
    try:
        value = getattr(obj, name)
    except ObjectDoesNotExist:
        if isinstance(inspect.getattr_static(type(obj), name, None), _TO_ONE):
            return None
        raise
    except AttributeError:
        # Of the object too, which may have attributes that its class does not have.
        if inspect.getattr_static(obj, name, _MISSING) is _MISSING:
            raise _NoAttribute(obj, name) from None
        raise  # raised inside a property, whose own message is the right one
    # Managers and classes can be called too, but their calls do not return the value.
    if callable(value) and not isinstance(value, _NOT_TO_CALL):
        if getattr(value, "alters_data", False):
            raise TypeError(f"{type(obj).__name__}.{name} changes data: it is not content.")
        return value()
    return value


def _is_many(value: object) -> bool:
    return isinstance(value, Manager) or (
        isinstance(value, Iterable) and not isinstance(value, _SINGLE)
    )


def _objects(value: Any) -> list[Any]:
    """Return the items of a manager, queryset or collection, each time in the same order."""
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)  # each process has an order of its own
    if not isinstance(value, (Manager, QuerySet)):
        return list(value)
    # all() for querysets too, because a queryset in a class attribute caches its first result.
    queryset = value.all()
    items = list(queryset)
    # Whether it is ordered is asked last, since that may build the query.
    is_sortable = len(items) > 1 and all(isinstance(item, Model) for item in items)
    if is_sortable and not queryset.ordered:
        # Sorted here, because sorting in the database would ignore prefetched objects.
        items.sort(key=lambda item: (item.pk is None, item.pk))
    return items


def _content_to_text(value: Any) -> str:
    if _is_rich_text(value.__class__):
        return html_to_text(value.source)
    if (block := block_of(value)) is not None:
        return stream_to_text(value, block)
    if _is_bound_block(value.__class__):
        return stream_to_text(value.value, value.block)
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
    """Return the field of this name if it is a column of the object and not a relation.

    A foreign key has two names. Under the name of its column, it is a plain value.
    """
    return _column(instance.__class__, name) if isinstance(instance, Model) else None


@lru_cache(maxsize=4096)
def _column(model: type[Model], name: str) -> Field[Any, Any] | None:
    try:
        field = model._meta.get_field(name)
    except FieldDoesNotExist:
        return None
    if not getattr(field, "concrete", False) or (field.is_relation and name == field.name):
        return None
    return field  # type: ignore[return-value]


# These ask for classes instead of values, so that Wagtail is imported only once for each class.


@lru_cache(maxsize=1024)
def _holds_rich_text(field_class: type) -> bool:
    from wagtail.fields import RichTextField

    return issubclass(field_class, RichTextField)


@lru_cache(maxsize=1024)
def _is_rich_text(value_class: type) -> bool:
    from wagtail.rich_text import RichText

    return issubclass(value_class, RichText)


@lru_cache(maxsize=1024)
def _is_bound_block(value_class: type) -> bool:
    from wagtail.blocks import BoundBlock

    return issubclass(value_class, BoundBlock)
