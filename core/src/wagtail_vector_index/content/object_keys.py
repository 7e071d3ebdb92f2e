"""Keys of source objects in the index tables: model and primary key, as text.

Multi-table inheritance shares primary keys between a parent and its children. A page is the
same object as a ``Page`` and as a ``BlogPage``. So the key names the topmost concrete model:
``"wagtailcore.page:12"``. A composite primary key is a JSON list: ``'shop.seat:["3", "F"]'``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import CompositePrimaryKey, Model

__all__ = [
    "given_key",
    "inherits",
    "key_of",
    "object_key",
    "object_keys",
    "primary_key",
    "primary_keys",
    "root_model",
    "shares_objects",
]


def root_model(model: type[Model]) -> type[Model]:
    """Return the topmost concrete model that shares the model's primary key."""
    concrete: Any = model._meta.concrete_model
    remote = concrete._meta.pk.remote_field
    while remote is not None and remote.parent_link:
        concrete = remote.model._meta.concrete_model
        remote = concrete._meta.pk.remote_field
    return concrete  # type: ignore[no-any-return]


def inherits(model: type[Model], other: type[Model]) -> bool:
    """Return whether each object of a model is an object of the other, too.

    A proxy has the objects of the model whose table it reads.
    """
    concrete: Any = model._meta.concrete_model
    return issubclass(concrete, other._meta.concrete_model)  # type: ignore[arg-type]


def shares_objects(model: type[Model], other: type[Model]) -> bool:
    """Return whether one object can be an object of both models, as a page and its child model."""
    return inherits(model, other) or inherits(other, model)


def key_of(model: type[Model], pk: Any) -> str:
    """Return the key of the object of this model with this primary key, as the database has it."""
    text = json.dumps([str(part) for part in pk]) if isinstance(pk, tuple) else pk
    return f"{_prefix(model)}{text}"


def given_key(model: type[Model], pk: Any) -> str:
    """Return the key for a primary key from a form, an import or a person, such as "0012"."""
    with suppress(ValidationError, ValueError, TypeError):  # if no object can have it, it stays
        pk = _as_read(root_model(model)._meta.pk, pk)
    return key_of(model, pk)


def object_key(instance: Model, of: type[Model] | None = None) -> str:
    """Return the key of a saved object.

    Args:
        instance: the object.
        of: a model whose object it is. If that is a parent with a primary key of its own, the
            key is the parent's. By default, it is the object's own model.
    """
    return given_key(_model_of(instance, of), primary_key(instance, of))


def object_keys(instance: Model) -> list[str]:
    """Return all keys of a saved object: nearly always one, as parents share the primary key."""
    models = [instance.__class__, *instance._meta.get_parent_list()]
    return list(dict.fromkeys(object_key(instance, model) for model in models))


def primary_key(instance: Model, of: type[Model] | None = None) -> Any:
    """Return the primary key in the key of `object_key`, or None if it has none yet."""
    root = root_model(_model_of(instance, of))
    is_shared = root_model(instance.__class__) is root
    return instance.pk if is_shared else getattr(instance, root._meta.pk.attname)


def _model_of(instance: Model, of: type[Model] | None) -> type[Model]:
    # Not type(instance): ``request.user`` is a lazy proxy, whose type is no model.
    own = instance.__class__
    return of if of is not None and inherits(own, of) else own


def primary_keys(model: type[Model], keys: Iterable[str]) -> list[Any]:
    """Return the primary keys in the given keys that name objects of this model's family.

    A key that the primary key's field does not accept names no object. Such keys remain after
    the type of the primary key has changed.
    """
    field: Any = root_model(model)._meta.pk
    prefix = _prefix(model)
    found = []
    for key in keys:
        if key.startswith(prefix):
            try:  # contextlib.suppress() would take longer than all the rest
                found.append(_as_read(field, key[len(prefix) :]))
            except (ValidationError, ValueError, TypeError):
                continue
    return found


@lru_cache(maxsize=1024)
def _prefix(model: type[Model]) -> str:
    """Return the beginning of the keys of a model's objects."""
    return f"{root_model(model)._meta.label_lower}:"


def _as_read(field: Any, pk: Any) -> Any:
    """Return a primary key, which may be text, as the database returns it."""
    if not isinstance(field, CompositePrimaryKey):
        return field.to_python(pk)
    fields: Any = field.fields
    parts = zip(fields, json.loads(pk) if isinstance(pk, str) else pk, strict=True)
    return tuple(part.to_python(value) for part, value in parts)
