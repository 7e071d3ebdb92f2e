"""How a source object is named in the record: its model and primary key, as text.

Multi-table inheritance shares primary keys between a parent and its children, so a page
is one object whether one has it as a ``Page`` or as a ``BlogPage``. The key therefore
names the topmost concrete model: ``"wagtailcore.page:12"``.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db.models import Model

__all__ = ["key_of", "object_key", "primary_keys", "root_model"]


def root_model(model: type[Model]) -> type[Model]:
    """The topmost concrete model that shares the model's primary key."""
    concrete: Any = model._meta.concrete_model
    remote = concrete._meta.pk.remote_field
    while remote is not None and remote.parent_link:
        concrete = remote.model._meta.concrete_model
        remote = concrete._meta.pk.remote_field
    return concrete  # type: ignore[no-any-return]


def key_of(model: type[Model], pk: Any) -> str:
    """The key of the object of this model with this primary key."""
    return f"{root_model(model)._meta.label_lower}:{pk}"


def object_key(instance: Model) -> str:
    """The key of a saved object."""
    # Not its type: that of ``request.user`` stands for a model only.
    return key_of(instance.__class__, instance.pk)


def primary_keys(model: type[Model], keys: Iterable[str]) -> list[Any]:
    """The primary keys of those keys that name objects of this model's family.

    A key that can be none, as after the primary key's type has changed, names no object.
    """
    root: Any = root_model(model)
    prefix = f"{root._meta.label_lower}:"
    found = []
    for key in keys:
        if key.startswith(prefix):
            with contextlib.suppress(ValidationError):
                found.append(root._meta.pk.to_python(key[len(prefix) :]))
    return found
