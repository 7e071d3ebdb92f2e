"""Changes of objects that are no pages, and of what indexed objects read."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from django.db import DataError, connection, transaction
from django.db.models import signals

from tests.testapp.models import (
    ArticlePage,
    Author,
    Comment,
    Note,
    Notice,
    PinnedNote,
    Product,
    Seat,
)
from wagtail_vector_index.changes import noting
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.expanding import expand
from wagtail_vector_index.indexing.outbox import append
from wagtail_vector_index.models import PendingChange

pytestmark = pytest.mark.django_db
NOTES, PINNED = "testapp.Note", "testapp.PinnedNote"


def test_saving_and_deleting(noted):
    note = Note(text="bread")
    assert noted(note.save) == {NOTES: [f"testapp.note:{note.pk or 1}"], PINNED: [object_key(note)]}
    key = object_key(note)
    assert noted(note.delete)[NOTES] == [key]


@pytest.mark.parametrize(
    ("given", "pk"),
    [
        (Product(pk="A31C0000-0000-0000-0000-000000000001"), UUID("a31c" + "0" * 27 + "1")),
        (Product(pk=UUID(int=1).hex), UUID(int=1)),
        (Note(pk="0012"), 12),
    ],
)
def test_a_primary_key_of_another_type_or_form(noted, given, pk):
    """A form or an import may set a primary key as text, which is not as the database has it."""
    found = noted(given.save)
    assert object_key(type(given).objects.get(pk=pk)) in sum(found.values(), [])
    assert object_key(Seat(pk=("03", "F"))) == object_key(Seat(pk=(3, "F")))


@pytest.mark.parametrize("count", [3, 1_200])
def test_a_deletion_notes_all_its_objects_at_once(noted, django_assert_max_num_queries, count):
    """What Django itself asks grows with the number of objects, as their related rows are read."""
    Author.objects.create(name="Ada")
    Author.objects.bulk_create(Author(name=f"Author {number}") for number in range(count))
    authors = Author.objects.exclude(name="Ada")
    Note.objects.bulk_create(Note(text="tea", author=author) for author in authors)
    keys = sorted(map(object_key, Note.objects.all()))
    with django_assert_max_num_queries(50) as asked:
        assert noted(Note.objects.all().delete) == {NOTES: keys, PINNED: keys}
    assert sum("INSERT" in query["sql"] for query in asked) <= 2 * (1 + count // 1_000)
    assert not Note.objects.exists()


def test_a_deletion_of_what_others_read_and_of_what_goes_with_it(noted):
    author = Author.objects.create(name="Ada")
    note = Note.objects.create(text="bread", author=author)
    pinned = PinnedNote.objects.create(text="tea", reason="good", author=author)
    Comment.objects.create(note=note, text="fine")
    keys = sorted([object_key(note), object_key(pinned)])
    read_by = {NOTES: keys, PINNED: [object_key(pinned)]}
    assert noted(Author.objects.filter(name="Ada").delete) == read_by
    assert noted(Note.objects.all().delete) == {NOTES: keys, PINNED: keys}


def test_a_deletion_that_is_refused_and_made_later(noted):
    notes = [Note.objects.create(text=text) for text in ("bread", "cake")]
    first, second = map(object_key, notes)
    chosen = Note.objects.filter(text__in=["bread", "cake"])

    def refuse(instance, **kwargs):
        raise PermissionError

    def delete():
        with pytest.raises(PermissionError), transaction.atomic():
            chosen.delete()

    signals.pre_delete.connect(refuse, sender=Note)
    try:
        assert noted(delete) == {}
    finally:
        signals.pre_delete.disconnect(refuse, sender=Note)
    assert noted(notes[1].delete)[NOTES] == [second]
    assert set(noted(chosen.delete)[NOTES]) >= {first}


def test_a_deletion_within_a_deletion(noted):
    bread, cake, tea = (Note.objects.create(text=text) for text in ("bread", "cake", "tea"))
    keys = sorted(map(object_key, (bread, cake, tea)))

    def delete_tea(instance, **kwargs):
        if instance.text != "tea":
            Note.objects.filter(text="tea").delete()

    signals.pre_delete.connect(delete_tea, sender=Note)
    try:
        assert noted(Note.objects.exclude(text="tea").delete)[NOTES] == keys
    finally:
        signals.pre_delete.disconnect(delete_tea, sender=Note)


def test_a_deletion_that_another_app_announces_alone(noted):
    """A package for soft deletion may send these signals, without an origin."""
    note = Note.objects.create(text="bread")

    def announce(*announced, **origin):
        for signal in announced:
            signal.send(sender=Note, instance=note, using="default", **origin)

    both = signals.pre_delete, signals.post_delete
    for arguments, origin in ((both, {}), (both[1:], {}), (both, {"origin": [note]})):
        assert noted(announce, *arguments, **origin)[NOTES] == [object_key(note)]


def test_deletions_of_what_one_queryset_chooses_by_several_threads(noted):
    notes = Note.objects.all()
    own = [Note.objects.create(text=text) for text in ("bread", "cake")]

    def announce(signal, instance):
        signal.send(sender=Note, instance=instance, using="default", origin=notes)

    def delete():
        announce(signals.pre_delete, own[0])
        other = threading.Thread(target=announce, args=[signals.pre_delete, own[1]])
        other.start()
        other.join()
        announce(signals.post_delete, own[0])

    assert noted(delete)[NOTES] == [object_key(own[0])]


def test_a_key_that_cannot_be_stored_loses_no_other(noted, monkeypatch, caplog):
    notes = [Note.objects.create(text=text) for text in ("bread", "cake", "tea", "wine", "jam")]
    bread, cake, *others = map(object_key, notes)

    def store(index_name, keys, *arguments):
        if cake in keys:
            raise DataError("value too long for type character varying(640)")
        append(index_name, keys, *arguments)

    monkeypatch.setattr(noting, "append", store)
    assert noted(Note.objects.all().delete)[NOTES] == sorted([bread, *others])
    assert f"A change of {cake} could not be noted" in caplog.text


def test_saving_what_is_not_indexed(noted):
    product = Product.objects.create(label="cup")
    assert noted(product.save) == {"testapp.ProductIndex": [object_key(product)]}
    note = Note.objects.create(text="bread")
    assert noted(note.save, update_fields=["stars"])[NOTES] == [object_key(note)]
    assert noted(note.save, update_fields=[]) == {}


def test_a_child_by_inheritance(noted):
    note = PinnedNote(text="bread", reason="good")
    seen = noted(note.save)
    assert seen == {NOTES: [object_key(note)], PINNED: [object_key(note)]}


def test_another_model(noted, django_user_model):
    assert noted(django_user_model.objects.create_user, "someone") == {}


def test_a_draft_of_a_snippet(noted, root):
    notice = Notice.objects.create(text="bread", live=False, locale=root.locale)
    notice.text = "cake"
    assert noted(notice.save_revision) == {}
    assert noted(notice.latest_revision.publish) == {"testapp.Notice": [object_key(notice)]}
    notice.refresh_from_db()
    assert noted(notice.unpublish) == {"testapp.Notice": [object_key(notice)]}


def test_what_is_read_of_another_object(noted):
    author = Author.objects.create(name="Ada")
    notes = [Note.objects.create(text=text, author=author) for text in ("bread", "cake")]
    Note.objects.create(text="tea")
    author.name = "Grace"
    assert noted(author.save) == {
        NOTES: [f"{object_key(author)}<"],
        PINNED: [f"{object_key(author)}<"],
    }
    expand(get_index(NOTES))
    rows = PendingChange.objects.filter(index=NOTES).values_list("object_key", flat=True)
    assert sorted(rows) == sorted(map(object_key, notes))
    assert noted(author.delete)[NOTES] == sorted(map(object_key, notes))


def test_a_new_object_that_nobody_reads_yet(noted):
    assert noted(Author.objects.create, name="Ada") == {}


def test_tags(article, noted):
    page = article("Bread")
    page.tags.add("food")
    page.save()
    tag = page.tags.get()
    tag.name = "meals"
    seen = noted(tag.save)
    assert seen["testapp.ArticlePage"] == [f"{object_key(tag)}<"]
    expand(get_index("testapp.ArticlePage"))
    rows = PendingChange.objects.filter(index="testapp.ArticlePage")
    assert [row.object_key for row in rows] == [object_key(page)]
    assert ArticlePage.objects.get().tags.get().name == "meals"


def test_fixtures_are_left_to_the_command(noted, tmp_path):
    from django.core import serializers
    from django.core.management import call_command

    note = Note.objects.create(text="bread")
    path = tmp_path / "notes.json"
    path.write_text(serializers.serialize("json", [note]))
    assert noted(call_command, "loaddata", str(path), verbosity=0) == {}


def test_a_change_before_the_first_migrate(caplog):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE wvi_pending_change RENAME TO wvi_elsewhere")
        cursor.execute("ALTER TABLE wvi_collection RENAME TO wvi_elsewhere_too")
    Note.objects.create(text="bread")
    assert "no tables of Wagtail Vector Index yet. Run: manage.py migrate. Then run:" in caplog.text
