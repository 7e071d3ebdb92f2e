"""Texts, and the rows that store them."""

import json
import random
import uuid

from django.contrib.contenttypes.models import ContentType
from django.db import connection
from taggit.models import Tag
from wagtail.documents.models import Document
from wagtail.images.models import Image
from wagtail.models import Page

from .models import Passage, PassagePage, Publisher, Story, StoryTag, Topic, Writer

MODELS = {"objects": Passage, "pages": PassagePage, "stories": Story}
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


def fill(kind, count, first=0):
    """Write ``count`` rows, without signals and hooks, since this is not measured.

    The texts of objects and pages are numbered from ``first``.
    """
    {"objects": _fill_objects, "pages": _fill_pages, "stories": _fill_stories}[kind](count, first)


def _fill_objects(count, first):
    for start in range(first, first + count, _BATCH):  # Django makes all objects before it writes
        numbers = range(start, min(start + _BATCH, first + count))
        Passage.objects.bulk_create(Passage(body=text(number)) for number in numbers)


def _fill_pages(count, first):
    pages = _add_pages(PassagePage, count)
    table, parent = PassagePage._meta.db_table, PassagePage._meta.pk.column
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({parent}, body) VALUES (%s, %s)",
            [(page.pk, text(number)) for number, page in enumerate(pages, first)],
        )


def _fill_stories(count, _first):
    """Write pages, each with two tags, two topics, an author, and a body with five choosers."""
    publishers = _some(Publisher, 20)
    writers = _some(Writer, 200, lambda number: {"publisher": publishers[number % 20]})
    topics, tags = _some(Topic, 50), _some(Tag, 50, lambda number: {"slug": f"tag-{number}"})
    chosen = {
        "image": Image.objects.bulk_create(
            Image(title=f"Image {n}", description=text(n)[:60], file=f"{n}.jpg", width=1, height=1)
            for n in range(100)
        ),
        "document": Document.objects.bulk_create(
            Document(title=f"Document {n}", file=f"{n}.pdf") for n in range(100)
        ),
        "topic": topics,
    }
    pages = _add_pages(Story, count)
    chosen["page"] = pages[:100]
    table, parent = Story._meta.db_table, Story._meta.pk.column
    rows = [
        (page.pk, writers[number % 200].pk, _story(number, chosen))
        for number, page in enumerate(pages)
    ]
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} ({parent}, author_id, body) VALUES (%s, %s, %s)", rows
        )
    pairs = [(page.pk, number + step) for number, page in enumerate(pages) for step in (0, 7)]
    StoryTag.objects.bulk_create(
        (StoryTag(content_object_id=pk, tag=tags[number % 50]) for pk, number in pairs),
        batch_size=_BATCH,
    )
    between = Story.topics.through
    between.objects.bulk_create(
        (between(story_id=pk, topic_id=topics[number % 50].pk) for pk, number in pairs),
        batch_size=_BATCH,
    )


def _some(model, count, more=lambda number: {}):
    return model.objects.bulk_create(
        model(name=f"{model.__name__} {number}", **more(number)) for number in range(count)
    )


def _story(number, chosen):
    """Return the body of a page, as its column stores it."""
    image = chosen["image"][number % 100].pk
    words = text(number).split()
    blocks = [
        ("heading", f"Story {number}"),
        ("paragraph", f"<p>{' '.join(words[:30])} <b>bold</b> &amp; more.</p>"),
        ("paragraph", f'<p>{" ".join(words[30:])} <a href="https://example.com">link</a>.</p>'),
        ("image", image),
        ("picture", {"image": image, "alt_text": "A picture", "decorative": False}),
        ("quote", {"text": "A quote", "image": image}),
        *(
            (kind, chosen[kind][number % len(chosen[kind])].pk)
            for kind in ("document", "topic", "page")
        ),
    ]
    return json.dumps(
        [
            {"type": kind, "value": value, "id": str(uuid.UUID(int=16 * number + position))}
            for position, (kind, value) in enumerate(blocks)
        ]
    )


def _add_pages(model, count):
    """Write the rows of the base model, and return the pages in order of their numbers."""
    sections = _add_sections(count)
    content_type = ContentType.objects.get_for_model(model)
    places = [(section, step) for section, size in sections for step in range(size)]
    pages = [
        _page(f"Passage {number}", section, step, content_type=content_type)
        for number, (section, step) in enumerate(places)
    ]
    return Page.objects.bulk_create(pages, batch_size=_BATCH)


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
