"""Texts, and rows that hold them."""

import random
import uuid

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from wagtail.models import Page

from .models import Passage, PassagePage

MODELS = {"objects": Passage, "pages": PassagePage}
WORDS_IN_A_TEXT = 60

_BATCH = 2_000
_WORDS = [
    first + second
    for first in ("ba", "co", "di", "fu", "gra", "hel", "ki", "lo", "ma", "no", "pre", "sta")
    for second in ("ber", "cal", "dor", "fin", "gel", "lim", "mer", "nis", "pon", "ran", "ses")
]


def text(number):
    """The text of one document, always the same for the same number: some 400 characters."""
    chosen = random.Random(number).choices(_WORDS, k=WORDS_IN_A_TEXT)
    return f"Passage {number}: {' '.join(chosen)}."


def fill(kind, count):
    """Write so many rows, without a signal or a hook: this is not what is measured."""
    {"objects": _fill_objects, "pages": _fill_pages}[kind](count)


def _fill_objects(count):
    Passage.objects.bulk_create(
        (Passage(body=text(number)) for number in range(count)), batch_size=_BATCH
    )


def _fill_pages(count):
    home = Page.objects.get(depth=2)
    content_type = ContentType.objects.get_for_model(PassagePage)
    pages = [
        Page(
            title=f"Passage {number}",
            draft_title=f"Passage {number}",
            slug=f"passage-{number}",
            path=Page._get_path(home.path, home.depth + 1, number + 1),
            depth=home.depth + 1,
            url_path=f"{home.url_path}passage-{number}/",
            content_type=content_type,
            locale_id=home.locale_id,
            translation_key=uuid.uuid4(),
        )
        for number in range(count)
    ]
    Page.objects.bulk_create(pages, batch_size=_BATCH)
    Page.objects.filter(pk=home.pk).update(numchild=count)
    table, parent = PassagePage._meta.db_table, PassagePage._meta.pk.column
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({parent}, body) VALUES (%s, %s)",
            [(page.pk, text(number)) for number, page in enumerate(pages)],
        )
