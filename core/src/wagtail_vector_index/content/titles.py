"""Titles of objects, for people."""

from __future__ import annotations

from django.db.models import Model

from .object_keys import object_key

__all__ = ["title_of"]


def title_of(instance: Model) -> str:
    """Return an object as its model shows it, or its key if the model's own code fails.

    One broken object must not take a whole list down, such as the list of changes that failed.
    """
    try:
        return str(instance)
    except Exception:  # noqa: BLE001  # from a site's own __str__
        return object_key(instance)
