"""What is read of other objects, through relations of every kind, is noticed when it changes."""

from __future__ import annotations

import json

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import OperationalError, connections
from django.db.models import Count, Exists, F, OuterRef
from django.http import HttpResponse
from django.urls import reverse
from taggit.models import Tag, TaggedItem
from wagtail import hooks

from tests.testapp.models import (
    Author,
    Cafe,
    CafeInGallery,
    EditedNote,
    Editing,
    Issue,
    Magazine,
    Note,
    NoteProxy,
    PinnedNote,
    Place,
    Publication,
    Remark,
    Shelf,
)
from wagtail_vector_index.changes.receivers import Receivers
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.exceptions import InvalidIndex
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.comparing import changed_keys
from wagtail_vector_index.indexing.expanding import expand
from wagtail_vector_index.indexing.plan import live_collections
from wagtail_vector_index.indexing.progress import Progress
from wagtail_vector_index.indexing.updating import apply_changes, update
from wagtail_vector_index.models import Document, EmbeddingField, FilterField, PendingChange

pytestmark = pytest.mark.django_db


@pytest.fixture
def reading(monkeypatch):
    """Makes an index that reads these fields, and notices changes."""
    connected = []

    def make(*fields, model=Magazine, filters=(), content=None, **more):
        declared = [EmbeddingField(f) if isinstance(f, str) else f for f in fields]
        attributes = {
            "name": "reading",
            "querysets": [model.objects.all() if content is None else content],
            "embedding_fields": [EmbeddingField("title"), *declared],
            "filter_fields": list(filters),
            **more,
        }
        index = type("Reading", (VectorIndex,), attributes)()
        monkeypatch.setattr("wagtail_vector_index.changes.interests.all_indexes", lambda: [index])
        connected.append(Receivers())
        connected[-1].connect()
        config = apps.get_app_config("wagtail_vector_index")
        monkeypatch.setattr(config, "receivers", connected[-1])
        update(index)
        return index

    return make


@pytest.fixture
def magazines():
    return [Magazine.objects.create(title=title) for title in ("Bread", "Tea")]


@pytest.fixture
def ada():
    return Author.objects.create(name="Ada")


def texts(index):
    """The texts after the noted changes were written; they are all that there was to write."""
    apply_changes(index)
    assert changed_keys(index, live_collections(index.name), Progress()) == []
    live = Document.objects.filter(deleted_at=None)
    return sorted(" ".join(content.split()) for content in live.values_list("content", flat=True))


def test_a_child_whose_primary_key_is_not_its_parents(reading):
    Place.objects.create(name="first")
    index = reading(model=Place, embedding_fields=[EmbeddingField("name")])
    cafe = Cafe.objects.create(name="bread", tea="green")
    assert texts(index) == ["bread", "first"]
    cafe.name = "cake"
    cafe.save()
    assert texts(index) == ["cake", "first"]
    both = CafeInGallery.objects.create(name="milk")
    assert texts(index) == ["cake", "first", "milk"]
    assert [place.name for place in index.search("cake", limit=1)] == ["cake"]
    assert {place.name for place in index.find_similar(cafe)} == {"first", "milk"}
    both.delete()
    cafe.delete()
    assert texts(index) == ["first"]


def test_an_indexed_child_whose_primary_key_is_not_its_parents(reading):
    Place.objects.create(name="first")
    index = reading(model=Cafe, embedding_fields=[EmbeddingField("name"), EmbeddingField("tea")])
    cafe = Cafe.objects.create(name="bread", tea="green")
    assert texts(index) == ["bread green"]
    place = Place.objects.get(cafe=cafe)
    place.name = "cake"
    place.save()
    assert texts(index) == ["cake green"]
    place.delete()
    assert texts(index) == []


def authors(index):
    """The names of the notes' authors, after the noted changes were written."""
    texts(index)
    live = Document.objects.filter(deleted_at=None)
    return [
        json.loads(metadata).get("author") for metadata in live.values_list("metadata", flat=True)
    ]


@pytest.fixture
def archive(transactional_db, settings):
    """Tables of notes and authors in another database, which no router chooses."""
    settings.DATABASE_ROUTERS = []
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}
    other = connections["other"]
    with other.schema_editor() as editor:
        editor.create_model(Author)
        editor.create_model(Note)
    yield other
    with other.schema_editor() as editor:
        editor.delete_model(Note)
        editor.delete_model(Author)


@pytest.fixture
def archived(reading, archive):
    """An index of the notes in the other database, with the names of their authors."""
    return reading(model=Note, content=Note.objects.using("other"))


@pytest.mark.django_db(transaction=True, databases=["default", "other"])
class TestADatabaseThatAnIndexNames:
    def test_what_its_objects_read(self, archived):
        ada = Author(name="Ada")
        ada.save(using="other")
        Note(text="bread", author=ada).save(using="other")
        assert authors(archived) == ["Ada"]
        ada.name = "Grace"
        ada.save(using="other")
        assert authors(archived) == ["Grace"]

    def test_a_deletion_elsewhere_while_it_is_down(self, archived, archive, caplog):
        def fail(*arguments):
            raise OperationalError("the database system is shutting down")

        author = Author.objects.create(name="Ada")
        PendingChange.objects.all().delete_rows()
        with archive.execute_wrapper(fail):
            author.delete()
        [row] = PendingChange.objects.filter(index="reading")
        assert row.scope == PendingChange.Scope.INDEX
        assert "the database system is shutting down" in caplog.text


@pytest.mark.django_db(databases=["default", "other"])
def test_reads_from_a_replica_that_lags_behind(reading, settings):
    ada = Author.objects.create(name="Ada")
    note = Note.objects.create(text="bread", author=ada)
    index = reading(model=Note)
    settings.DATABASE_ROUTERS = ["tests.testapp.routers.LaggingRouter"]
    for action in (ada.save, ada.delete):
        PendingChange.objects.all().delete_rows()
        action()
        assert expand(index) == {}
        [row] = PendingChange.objects.filter(index="reading")
        assert row.object_key == object_key(note)


def test_rows_of_a_table_between(reading, magazines, ada):
    bread, tea = magazines
    index = reading("editors__name")
    row = Editing.objects.create(magazine=bread, editor=ada)
    assert texts(index) == ["Bread Ada", "Tea"]
    row.delete()
    assert texts(index) == ["Bread", "Tea"]
    tea.editors.add(ada)
    assert texts(index) == ["Bread", "Tea Ada"]
    ada.edited.remove(tea)
    assert texts(index) == ["Bread", "Tea"]
    ada.edited.set(magazines)
    assert texts(index) == ["Bread Ada", "Tea Ada"]
    ada.edited.clear()
    assert texts(index) == ["Bread", "Tea"]


def test_a_child_that_moves(reading, magazines):
    bread, tea = magazines
    index = reading("issues__title")
    issue = Issue.objects.create(magazine=bread, title="one")
    assert texts(index) == ["Bread one", "Tea"]
    issue.magazine = tea
    issue.save(update_fields=["magazine"])
    assert texts(index) == ["Bread", "Tea one"]
    Issue(pk=issue.pk, magazine=bread, title="two").save()
    assert texts(index) == ["Bread two", "Tea"]
    issue = Issue.objects.defer("magazine").get()
    issue.title = "three"
    issue.save()
    assert texts(index) == ["Bread three", "Tea"]
    issue.delete()
    assert texts(index) == ["Bread", "Tea"]


def test_a_row_that_moves_in_two_steps(reading, magazines, ada):
    """The text of an author's magazines is read through the issues that the author stars in."""
    issue = Issue.objects.create(magazine=magazines[0], title="one", star=ada)
    index = reading("issues__star__name")
    assert texts(index) == ["Bread Ada", "Tea"]
    issue.magazine = magazines[1]
    issue.save()
    assert texts(index) == ["Bread", "Tea Ada"]
    ada.name = "Grace"
    ada.save()
    assert texts(index) == ["Bread", "Tea Grace"]
    ada.delete()
    assert texts(index) == ["Bread", "Tea"]


def test_several_steps(reading, magazines):
    user = User.objects.create(username="someone")
    group, other = (Group.objects.create(name=name) for name in ("bakers", "brewers"))
    index = reading("owner__groups__name")
    Magazine.objects.filter(title="Bread").update(owner=user)
    update(index)
    user.groups.add(group)
    assert texts(index) == ["Bread bakers", "Tea"]
    other.user_set.add(user)
    assert texts(index) == ["Bread bakers brewers", "Tea"]
    other.name = "cooks"
    other.save()
    assert texts(index) == ["Bread bakers cooks", "Tea"]
    other.user_set.clear()
    assert texts(index) == ["Bread bakers", "Tea"]
    user.groups.set([])
    assert texts(index) == ["Bread", "Tea"]


def test_generic_relations(reading, magazines):
    bread, tea = magazines
    index = reading("remarks__text")
    remark = Remark.objects.create(about=bread, text="good")
    assert texts(index) == ["Bread good", "Tea"]
    remark.about = tea
    remark.text = "better"
    remark.save()
    assert texts(index) == ["Bread", "Tea better"]
    remark.delete()
    assert texts(index) == ["Bread", "Tea"]


@pytest.mark.parametrize(
    ("model", "key"), [(None, None), (None, "1"), (Magazine, None), ("a model that is gone", "1")]
)
def test_generic_relations_that_lead_nowhere(reading, magazines, model, key):
    bread, tea = magazines
    index = reading("remarks__text")
    types = {None: None, Magazine: ContentType.objects.get_for_model(Magazine).pk}
    where = {"content_type_id": types.get(model, 10**6), "object_id": key}
    remark = Remark.objects.create(text="good", **where)
    bread.title = "Cake"
    bread.save()
    assert texts(index) == ["Cake", "Tea"]
    remark.about = tea
    remark.save()
    assert texts(index) == ["Cake", "Tea good"]
    Remark(pk=remark.pk, text="good", **where).save()
    assert texts(index) == ["Cake", "Tea"]
    remark = Remark.objects.get()
    remark.delete()
    assert texts(index) == ["Cake", "Tea"]


def test_generic_foreign_keys(reading, monkeypatch, magazines):
    remark = Remark.objects.create(about=magazines[0], text="good")
    monkeypatch.setattr(Remark, "title", "Remark", raising=False)
    index = reading("about__title", model=Remark)
    assert texts(index) == ["Remark Bread"]
    magazines[0].title = "Cake"
    magazines[0].save()
    assert texts(index) == ["Remark Cake"]
    remark.about = magazines[1]
    remark.save(update_fields=["object_id"])
    assert texts(index) == ["Remark Tea"]


def test_relations_that_a_parent_model_declares(reading, magazines, ada):
    bread = magazines[0]
    index = reading("subjects__name")
    Publication.objects.get(pk=bread.pk).subjects.add(ada)
    assert texts(index) == ["Bread Ada", "Tea"]
    ada.covered.clear()
    assert texts(index) == ["Bread", "Tea"]
    bread.subjects.add(ada)
    assert texts(index) == ["Bread Ada", "Tea"]


def test_relations_that_the_other_model_declares(reading, monkeypatch, magazines, ada):
    """The index reads the side that does not declare the relation."""
    monkeypatch.setattr(Author, "title", "Author", raising=False)
    index = reading("covered__title", model=Author)
    ada.covered.add(magazines[0])
    assert texts(index) == ["Author Bread"]
    magazines[0].subjects.clear()
    assert texts(index) == ["Author"]
    magazines[0].subjects.set([ada])
    assert texts(index) == ["Author Bread"]


def test_a_relation_of_a_model_to_itself(reading, magazines):
    bread, tea = magazines
    index = reading("neighbours__title")
    bread.neighbours.add(tea)
    assert texts(index) == ["Bread Tea", "Tea Bread"]
    tea.neighbours.clear()
    assert texts(index) == ["Bread", "Tea"]


def test_generic_tags(reading, magazines):
    bread = magazines[0]
    index = reading("tags__name", filters=[FilterField("tags", type="list[str]")])
    bread.tags.add("food")
    assert texts(index) == ["Bread food", "Tea"]
    Tag.objects.get().delete()
    assert texts(index) == ["Bread", "Tea"]
    TaggedItem.objects.create(content_object=bread, tag=Tag.objects.create(name="meals"))
    assert texts(index) == ["Bread meals", "Tea"]


def test_relations_that_a_parent_keeps_until_it_is_saved(reading, magazines):
    bread = magazines[0]
    shelf = Shelf.objects.create(name="kitchen")
    index = reading("shelves__name", "issues__title")
    bread.shelves = [shelf]
    bread.issues = [Issue(title="one")]
    bread.save()
    assert texts(index) == ["Bread kitchen one", "Tea"]
    shelf.name = "cellar"
    shelf.save()
    assert texts(index) == ["Bread cellar one", "Tea"]


def test_what_a_method_reads_if_the_field_says_so(reading, magazines, ada):
    index = reading(EmbeddingField("crew", reads=["issues__star"]))
    issue = Issue.objects.create(magazine=magazines[0], title="one", star=ada)
    assert texts(index) == ["Bread Ada", "Tea"]
    ada.name = "Grace"
    ada.save()
    assert texts(index) == ["Bread Grace", "Tea"]
    issue.magazine = magazines[1]
    issue.save()
    assert texts(index) == ["Bread", "Tea Grace"]


def test_what_the_method_of_a_filter_reads(reading, magazines, ada):
    index = reading(
        filters=[FilterField("crew", type="list[str]", reads=["issues__star"])],
    )
    Issue.objects.create(magazine=magazines[0], title="one", star=ada)
    texts(index)
    ada.name = "Grace"
    ada.save()
    texts(index)
    metadata = Document.objects.filter(deleted_at=None).values_list("metadata", flat=True)
    assert sum('"crew":["Grace"]' in text for text in metadata) == 1


def test_a_key_that_is_set_to_null(reading, magazines):
    owner = User.objects.create(username="someone")
    Magazine.objects.filter(title="Bread").update(owner=owner)
    index = reading(filters=["owner"])
    owner.delete()
    texts(index)
    metadata = Document.objects.filter(deleted_at=None).values_list("metadata", flat=True)
    assert all('"owner":null' in text for text in metadata)


def test_a_filter_by_key_does_not_care_for_names(reading, noted, magazines):
    owner = User.objects.create(username="someone")
    Magazine.objects.update(owner=owner)
    reading(filters=["owner"])
    owner.username = "another"
    assert "reading" not in noted(owner.save)


@pytest.mark.parametrize(
    ("reads", "message"),
    [
        (["isues__star"], r"no field, attribute or method 'isues'.*issues"),
        (["issues__sta"], r"Issue has no field, attribute or method 'sta'.*star"),
        (["crew"], r"reads of the field 'crew'.*'crew' is no relation"),
        ("issues", r"reads of the field 'crew' of testapp\.Magazine must be a list"),
        ([3], r"must be a list of paths"),
    ],
)
def test_wrong_paths(reads, message):
    for field in (
        EmbeddingField("crew", reads=reads),
        FilterField("crew", type="str", reads=reads),
    ):
        is_embedded = isinstance(field, EmbeddingField)
        attributes = {
            "name": "reading",
            "querysets": [Magazine.objects.all()],
            "embedding_fields": [EmbeddingField("title"), *([field] if is_embedded else [])],
            "filter_fields": [] if is_embedded else [field],
        }
        with pytest.raises(InvalidIndex, match=message):
            type("Reading", (VectorIndex,), attributes)().configuration  # noqa: B018


@pytest.mark.parametrize("model", [Note, NoteProxy, PinnedNote])
def test_objects_that_another_proxy_saves_and_deletes(reading, model):
    """The sender of Django's signals is the proxy."""
    note = PinnedNote.objects.create(text="rye", reason="why")
    index = reading(model=model)
    edited = EditedNote.objects.get(pk=note.pk)
    edited.text = "wheat"
    edited.save()
    assert [text.partition(" ")[0] for text in texts(index)] == ["wheat"]
    edited.delete()
    assert texts(index) == []


@pytest.mark.parametrize("order", [None, 0, -1])
def test_a_bulk_action_on_related_objects(reading, magazines, admin_client, order):
    """Wagtail updates them without a signal. A hook of the site may answer before ours runs."""
    owner = User.objects.create(username="someone")
    Magazine.objects.filter(title="Bread").update(owner=owner)
    index = reading(filters=[FilterField("active", source="owner__is_active")])

    def answer(*arguments):
        return None if order is None else HttpResponse("done")

    url = reverse("wagtail_bulk_action", args=["auth", "user", "set_active_state"])
    with hooks.register_temporarily("after_bulk_action", answer, order=order or 0):
        admin_client.post(f"{url}?id={owner.pk}", {"mark_as_active": False})
    texts(index)
    metadata = Document.objects.filter(deleted_at=None).values_list("metadata", flat=True)
    assert sum('"active":false' in text for text in metadata) == 1


class TestChoosing:
    """An index whose querysets choose its objects by what other objects say."""

    def test_a_field_of_a_related_object(self, reading, magazines):
        tea = magazines[1]
        active, left = (
            User.objects.create(username=name, is_active=name == "active")
            for name in ("active", "left")
        )
        Magazine.objects.filter(title="Bread").update(owner=active)
        index = reading(content=Magazine.objects.filter(owner__is_active=True))
        assert texts(index) == ["Bread"]
        active.is_active = False
        active.save(update_fields=["is_active"])
        assert texts(index) == []
        left.is_active = True
        left.save()
        tea.owner = left
        tea.save(update_fields=["owner"])
        assert texts(index) == ["Tea"]
        left.delete()
        assert texts(index) == []

    @pytest.mark.filterwarnings("ignore:SQLCompiler.quote_name")  # taggit
    @pytest.mark.parametrize("chosen", ["tagged", "not tagged"])
    def test_tags(self, reading, magazines, chosen):
        bread, tea = magazines
        objects = Magazine.objects
        content = (
            objects.filter(tags__name="public").distinct()
            if chosen == "tagged"
            else objects.exclude(tags__name="public")
        )
        index = reading(content=content)

        def tagged():
            found = texts(index)
            return found if chosen == "tagged" else sorted({"Bread", "Tea"} - set(found))

        bread.tags.add("public")
        assert tagged() == ["Bread"]
        tea.tags.add("public")
        bread.tags.remove("public")
        assert tagged() == ["Tea"]
        tag = Tag.objects.get()
        tag.name = "open"
        tag.save()
        assert tagged() == []

    def test_many_to_many(self, reading, magazines):
        shelf = Shelf.objects.create(name="open")
        index = reading(content=Magazine.objects.filter(shelves__name="open"))
        magazines[0].shelves = [shelf]
        magazines[0].save()
        assert texts(index) == ["Bread"]
        shelf.name = "closed"
        shelf.save()
        assert texts(index) == []

    def test_the_table_between(self, reading, magazines):
        """The condition reads the key in the table, and nothing of the shelf."""
        shelf = Shelf.objects.create(name="open")
        index = reading(content=Magazine.objects.filter(shelves=shelf))
        shelf.magazines.set(magazines)
        assert texts(index) == ["Bread", "Tea"]
        shelf.delete()
        assert texts(index) == []

    def test_several_steps(self, reading, magazines):
        bakers = Group.objects.create(name="bakers")
        owner = User.objects.create(username="someone")
        Magazine.objects.filter(title="Tea").update(owner=owner)
        index = reading(content=Magazine.objects.filter(owner__groups__name="bakers"))
        owner.groups.add(bakers)
        assert texts(index) == ["Tea"]
        bakers.name = "brewers"
        bakers.save()
        assert texts(index) == []

    def test_a_relation_of_a_parent_model(self, reading, magazines, ada):
        index = reading(content=Magazine.objects.filter(subjects__name="Ada"))
        magazines[0].subjects.add(ada)
        assert texts(index) == ["Bread"]
        ada.name = "Grace"
        ada.save()
        assert texts(index) == []

    def test_generic_relations(self, reading, magazines):
        index = reading(content=Magazine.objects.filter(remarks__text="good"))
        remark = Remark.objects.create(about=magazines[0], text="good")
        assert texts(index) == ["Bread"]
        remark.text = "bad"
        remark.save()
        assert texts(index) == []

    @pytest.mark.parametrize(
        "content",
        [
            Magazine.objects.filter(issues__title__isnull=False).distinct(),
            Magazine.objects.annotate(number=Count("issues")).filter(number__gt=0),
            Magazine.objects.filter(Exists(Issue.objects.filter(magazine=OuterRef("pk")))),
            Magazine.objects.filter(pk__in=Issue.objects.values("magazine")),
            Magazine.objects.exclude(issues=None),
        ],
        ids=["join", "count", "exists", "in", "exclude"],
    )
    def test_whether_there_are_related_objects(self, reading, magazines, content):
        index = reading(content=content)
        issue = Issue.objects.create(magazine=magazines[0], title="one")
        assert texts(index) == ["Bread"]
        issue.magazine = magazines[1]
        issue.save()
        assert texts(index) == ["Tea"]
        issue.delete()
        assert texts(index) == []

    @pytest.mark.parametrize(
        "condition",
        [
            {"title": F("owner__username")},
            {"owner__in": User.objects.filter(username__in=["Bread", "Tea"])},
        ],
        ids=["F()", "a queryset"],
    )
    def test_a_value_of_related_objects(self, reading, magazines, condition):
        owner = User.objects.create(username="Bread")
        Magazine.objects.filter(title="Bread").update(owner=owner)
        index = reading(content=Magazine.objects.filter(**condition))
        owner.username = "someone"
        owner.save()
        assert texts(index) == []

    def test_a_subquery_whose_relations_the_index_names(self, reading, magazines):
        members = User.groups.through.objects.filter(user=OuterRef("owner"))
        owner, group = User.objects.create(username="someone"), Group.objects.create(name="bakers")
        Magazine.objects.filter(title="Tea").update(owner=owner)
        index = reading(content=Magazine.objects.filter(Exists(members)), reads=["owner__groups"])
        owner.groups.add(group)
        assert texts(index) == ["Tea"]
        group.delete()
        assert texts(index) == []

    @pytest.mark.parametrize(
        ("reads", "message"),
        [
            (["ownr__groups"], r"reading: testapp.Magazine has no .* 'ownr'.*owner"),
            (["title"], r"reading: reads holds 'title', but 'title' is no relation"),
            ("owner", r"reading: reads must be a list of paths"),
        ],
    )
    def test_wrong_paths(self, reads, message):
        attributes = {
            "name": "reading",
            "querysets": [Magazine.objects.all()],
            "embedding_fields": [EmbeddingField("title")],
            "reads": reads,
        }
        with pytest.raises(InvalidIndex, match=message):
            type("Reading", (VectorIndex,), attributes)().configuration  # noqa: B018
