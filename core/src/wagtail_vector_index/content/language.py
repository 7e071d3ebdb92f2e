"""The language and time zone in which the texts of an object are read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.apps import apps
from django.conf import settings
from django.utils import timezone, translation

__all__ = ["is_translatable", "reading_in_its_language"]


def is_translatable(model: type[Any]) -> bool:
    """Return whether objects of a model have a locale of Wagtail."""
    if not apps.is_installed("wagtail"):
        return False
    from wagtail.models import TranslatableMixin

    return issubclass(model, TranslatableMixin)


@contextmanager
def reading_in_its_language(instance: Any) -> Iterator[None]:
    """Activate the language of an object, and the site's time zone, while its texts are read.

    The language is that of the object's locale or, without a locale, the site's
    ``LANGUAGE_CODE``. So labels of choices do not depend on the editor or task that happens to
    index the object.
    """
    translatable = is_translatable(type(instance))
    language = instance.locale.language_code if translatable else settings.LANGUAGE_CODE
    zone = timezone.get_default_timezone()
    with translation.override(language), timezone.override(zone):
        yield
