"""Texts, and the rows that store them."""

import random
import uuid

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from wagtail.models import Page

from .models import Passage, PassagePage

MODELS = {"objects": Passage, "pages": PassagePage}
WORDS_IN_A_TEXT = 60
#: The number of sections. One section has a tenth of all pages, one a hundredth, and one has ten
#: pages.
SECTIONS = 231
PARTS = (10, 100)

_BATCH = 2_000
_WORDS = [
    first + second
    for first in ("ba", "co", "di", "fu", "gra", "hel", "ki", "lo", "ma", "no", "pre", "sta")
    for second in ("ber", "cal", "dor", "fin", "gel", "lim", "mer", "nis", "pon", "ran", "ses")
]


def text(number):
    """Return a text of some 400 characters, which is always the same for the same number."""
    chosen = random.Random(number).choices(_WORDS, k=WORDS_IN_A_TEXT)
    return f"Passage {number}: {' '.join(chosen)}."


def fill(kind, count):
    """Write ``count`` rows, without signals and hooks, since this is not measured."""
    {"objects": _fill_objects, "pages": _fill_pages}[kind](count)


def _fill_objects(count):
    Passage.objects.bulk_create(
        (Passage(body=text(number)) for number in range(count)), batch_size=_BATCH
    )


def _fill_pages(count):
    sections = _add_sections(count)
    content_type = ContentType.objects.get_for_model(PassagePage)
    places = [(section, step) for section, size in sections for step in range(size)]
    pages = [
        _page(f"Passage {number}", section, step, content_type=content_type)
        for number, (section, step) in enumerate(places)
    ]
    Page.objects.bulk_create(pages, batch_size=_BATCH)
    table, parent = PassagePage._meta.db_table, PassagePage._meta.pk.column
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({parent}, body) VALUES (%s, %s)",
            [(page.pk, text(number)) for number, page in enumerate(pages)],
        )


def _add_sections(count):
    """Return the sizes of the sections: some have given parts, the others equal shares."""
    sizes = {f"section-{part}": count // part for part in PARTS} | {"section-ten": 10}
    rest = count - sum(sizes.values())
    others = SECTIONS - len(sizes)
    for number in range(others):
        sizes[f"section-{number}-of-many"] = rest // others + (number < rest % others)
    home = Page.objects.get(depth=2)
    content_type = ContentType.objects.get_for_model(Page)
    pages = [
        _page(slug, home, step, content_type=content_type, numchild=size)
        for step, (slug, size) in enumerate(sizes.items())
    ]
    Page.objects.bulk_create(pages)
    Page.objects.filter(pk=home.pk).update(numchild=len(pages))
    found = list(zip(pages, sizes.values(), strict=True))
    # Shuffled, so that the pages of a section are spread over all numbers.
    random.Random(0).shuffle(found)
    return found


def _page(title, parent, step, **fields):
    slug = title.lower().replace(" ", "-")
    return Page(
        title=title,
        draft_title=title,
        slug=slug,
        path=Page._get_path(parent.path, parent.depth + 1, step + 1),
        depth=parent.depth + 1,
        url_path=f"{parent.url_path}{slug}/",
        locale_id=parent.locale_id,
        translation_key=uuid.uuid4(),
        **fields,
    )
