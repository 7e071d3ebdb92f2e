"""The language and time zone in which the texts of an object are read."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import tzinfo
from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils import timezone, translation

__all__ = [
    "is_translatable",
    "language_of",
    "reading_in",
    "reading_in_its_language",
]


@functools.cache
def is_translatable(model: type[Any]) -> bool:
    """Return whether objects of a model have a locale of Wagtail."""
    if not apps.is_installed("wagtail"):
        return False
    from wagtail.models import TranslatableMixin

    return issubclass(model, TranslatableMixin)


def reading_in_its_language(instance: Any) -> AbstractContextManager[object]:
    """Activate the language of an object, and the site's time zone, while its texts are read.

    So labels of choices do not depend on the editor or task that happens to index the object.
    """
    language = language_of(instance)
    # For most objects, the language is active, and asking is much faster than activating it.
    wanted = translation.to_language(language), timezone.get_default_timezone()
    return nullcontext() if _active() == wanted else reading_in(language)


def language_of(instance: Any) -> str:
    """Return the language of an object's locale or, without a locale, ``LANGUAGE_CODE``."""
    translatable = is_translatable(instance.__class__)
    language: str = instance.locale.language_code if translatable else settings.LANGUAGE_CODE
    return language


@contextmanager
def reading_in(language: str) -> Iterator[Callable[[], bool]]:
    """Activate a language, and the site's time zone.

    Yields:
        a function that returns whether both are still active.
    """
    with translation.override(language), timezone.override(timezone.get_default_timezone()):
        active = _active()
        yield lambda: _active() == active


def _active() -> tuple[str | None, tzinfo]:
    return translation.get_language(), timezone.get_current_timezone()
