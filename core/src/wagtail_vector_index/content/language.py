"""The language and time zone in which the texts of an object are read."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import tzinfo
from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils import timezone, translation

__all__ = ["is_translatable", "reading_in_its_language", "reading_together"]


@functools.cache
def is_translatable(model: type[Any]) -> bool:
    """Return whether objects of a model have a locale of Wagtail."""
    if not apps.is_installed("wagtail"):
        return False
    from wagtail.models import TranslatableMixin

    return issubclass(model, TranslatableMixin)


def reading_in_its_language(instance: Any) -> AbstractContextManager[object]:
    """Activate the language of an object, and the site's time zone, while its texts are read.

    The language is that of the object's locale or, without a locale, the site's
    ``LANGUAGE_CODE``. So labels of choices do not depend on the editor or task that happens to
    index the object.
    """
    translatable = is_translatable(instance.__class__)
    language = instance.locale.language_code if translatable else settings.LANGUAGE_CODE
    zone = timezone.get_default_timezone()
    if translation.get_language() == language and timezone.get_current_timezone() is zone:
        return nullcontext()  # for most objects, and much faster
    return _in(language, zone)


def reading_together(instances: Iterable[Any]) -> AbstractContextManager[object]:
    """Activate the language of the first of many objects, most of which have the same one.

    Then `reading_in_its_language` activates nothing for the others, which saves much of the time
    that reading an object takes.
    """
    first = next(iter(instances), None)
    return nullcontext() if first is None else reading_in_its_language(first)


@contextmanager
def _in(language: str, zone: tzinfo) -> Iterator[None]:
    with translation.override(language), timezone.override(zone):
        yield
