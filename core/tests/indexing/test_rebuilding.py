"""A rebuild happens beside the collection in use, and takes its place in the end."""

from __future__ import annotations

import datetime
import io
import subprocess
import sys

import pytest
from django.core import checks
from django.core.management import call_command
from django.db.models import Q
from django.utils import timezone

from tests.testapp.models import Note
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    EmbeddingUnavailable,
    IndexNotBuilt,
    IndexOutdated,
    RebuildRunning,
    UnknownAlias,
)
from wagtail_vector_index.handlers import embedding_backends, vector_backends
from wagtail_vector_index.indexing import batches, cleaning, draining, pushing, updating
from wagtail_vector_index.indexing import building as building_module
from wagtail_vector_index.indexing.building import Heartbeat, lead
from wagtail_vector_index.indexing.catching_up import catch_up
from wagtail_vector_index.indexing.comparing import changed_keys
from wagtail_vector_index.indexing.draining import Drained, _Drain
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.plan import Plan
from wagtail_vector_index.indexing.processes import process_name
from wagtail_vector_index.indexing.progress import Progress
from wagtail_vector_index.models import Collection, Document, FilterField, PendingChange

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index
State = Collection.State


@pytest.fixture
def notes(bring_up_to_date):
    for text in ("bread", "cheese", "wine"):
        Note.objects.create(text=text)
    bring_up_to_date("note")


def model_changed(settings, **options):
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.embeddings.WordEmbeddings", **options}
    }


def outdated():
    """What the system check says of an index that was built with other settings."""
    (warning,) = [
        message
        for message in checks.run_checks(databases=["default"], include_deployment_checks=False)
        if message.id == "wagtail_vector_index.W005"
    ]
    return warning


def test_searching_before_the_first_build_names_the_command(db):
    with pytest.raises(IndexNotBuilt, match="manage.py update_vector_indexes testapp.Note"):
        list(NOTES.search("bread"))


def test_a_rebuild_embeds_nothing_again(notes, bring_up_to_date, embedder, found):
    old = Collection.objects.get()
    bring_up_to_date("note", rebuild=True)
    assert embedder.calls == 0
    old.refresh_from_db()
    assert old.state == State.RETIRED
    assert Collection.objects.get(state=State.ACTIVE).document_count == 3
    assert found(NOTES, "cheese", limit=1) == ["cheese"]


def test_the_old_collection_serves_until_the_flip(notes, bring_up_to_date, found, monkeypatch):
    monkeypatch.setattr(updating, "_flip", lambda *arguments: None)
    bring_up_to_date("note", rebuild=True)
    assert sorted(Collection.objects.values_list("state", flat=True)) == ["active", "building"]
    assert found(NOTES, "cheese", limit=1) == ["cheese"]


def test_changes_during_a_rebuild_reach_both(notes, bring_up_to_date, monkeypatch, found):
    with monkeypatch.context() as patched:
        patched.setattr(updating, "_flip", lambda *arguments: None)
        bring_up_to_date("note", rebuild=True)
        Note.objects.create(text="butter")
        bring_up_to_date("note")
    assert list(Collection.objects.values_list("document_count", flat=True)) == [4, 4]
    bring_up_to_date("note")
    assert sorted(Collection.objects.values_list("state", flat=True)) == ["active", "retired"]
    assert found(NOTES, "butter", limit=1) == ["butter"]


def test_an_interrupted_rebuild_goes_on_where_it_stopped(notes, bring_up_to_date, settings, found):
    model_changed(settings, MODEL="better")
    from wagtail_vector_index.handlers import embedding_backends

    embedder = embedding_backends["default"]
    type(embedder).max_batch_texts, batch = 1, type(embedder).max_batch_texts

    def interrupt(texts):
        if embedder.calls == 2:
            raise KeyboardInterrupt

    try:
        embedder.before = interrupt
        with pytest.raises(KeyboardInterrupt):
            bring_up_to_date("note")
        building = Collection.objects.get(state=State.BUILDING)
        embedder.before = lambda texts: None
        bring_up_to_date("note")
    finally:
        type(embedder).max_batch_texts = batch
    assert len(embedder.texts) == 3
    assert Collection.objects.get(state=State.ACTIVE) == building


def test_a_changed_model_is_refused_with_the_command_that_helps(
    notes, bring_up_to_date, settings, found
):
    model_changed(settings, MODEL="better")
    with pytest.raises(IndexOutdated, match="manage.py update_vector_indexes testapp.Note"):
        list(NOTES.search("bread"))
    with pytest.raises(IndexOutdated, match="better"):
        list(NOTES.find_similar(Note.objects.first()))
    assert "update_vector_indexes testapp.Note" in outdated().hint
    bring_up_to_date("note")
    assert found(NOTES, "bread", limit=1) == ["bread"]


def test_changed_dimensions_are_refused_too(notes, settings):
    model_changed(settings, DIMENSIONS=32)
    with pytest.raises(IndexOutdated, match="dimensions 64 is now 32"):
        list(NOTES.search("bread"))
    assert "dimensions 64 is now 32" in outdated().msg


@pytest.mark.parametrize(
    ("attribute", "value"), [("chunk_tokens", 10), ("chunk_overlap", 2), ("metric", "dot")]
)
def test_changed_chunking_or_metric_is_refused_too(notes, attribute, value, monkeypatch):
    monkeypatch.setattr(type(NOTES), attribute, value)
    with pytest.raises(IndexOutdated, match="manage.py update_vector_indexes testapp.Note"):
        list(NOTES.search("bread"))
    assert "update_vector_indexes testapp.Note" in outdated().hint


def test_another_alias_is_served_by_the_old_one_until_the_flip(
    notes, bring_up_to_date, settings, found, monkeypatch, embedder
):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "numpy"},
        "archive": {"BACKEND": "tests.testapp.backends.ServerBackend"},
    }
    monkeypatch.setattr(type(NOTES), "vector_backend", "archive")
    assert found(NOTES, "cheese", limit=1) == ["cheese"]
    assert vector_backends["archive"].collections() == []
    bring_up_to_date("note")
    assert found(NOTES, "cheese", limit=1) == ["cheese"]
    assert vector_backends["archive"].upserted == 3
    assert embedder.texts == ["cheese", "cheese"]  # the two queries, no document


def test_an_alias_that_was_taken_out_too_early_is_told_with_the_command(
    notes, bring_up_to_date, settings, found, monkeypatch
):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"archive": {"BACKEND": "numpy"}}
    monkeypatch.setattr(type(NOTES), "vector_backend", "archive")
    with pytest.raises(
        UnknownAlias, match="To build it in .*, run: manage.py update_vector_indexes testapp.Note"
    ):
        found(NOTES, "cheese")
    bring_up_to_date("note")
    assert found(NOTES, "cheese", limit=1) == ["cheese"]


def test_an_index_can_leave_a_backend_that_is_gone(
    server, bring_up_to_date, settings, found, monkeypatch
):
    """Its server is down for good, or the settings no longer name it."""
    Note.objects.create(text="bread")
    bring_up_to_date("note")

    def down(method):
        raise BackendUnavailable("the server is gone")

    configured = {"old": {"BACKEND": "tests.testapp.backends.ServerBackend"}}
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {**configured, "new": {"BACKEND": "numpy"}}
    Collection.objects.update(vector_backend="old")
    vector_backends["old"].before = down
    monkeypatch.setattr(type(NOTES), "vector_backend", "new")
    Note.objects.create(text="cheese")
    bring_up_to_date("note")
    assert sorted(found(NOTES, "bread")) == ["bread", "cheese"]
    # What cannot be dropped there is no error of any index, and is kept for later.
    long_ago = timezone.now() - datetime.timedelta(days=1)
    Collection.objects.filter(state=State.RETIRED).update(retired_at=long_ago)
    bring_up_to_date("note")
    assert Collection.objects.filter(state=State.RETIRED).exists()

    Collection.objects.filter(state=State.ACTIVE).update(vector_backend="unknown")
    Note.objects.create(text="wine")
    bring_up_to_date("note")
    assert sorted(found(NOTES, "bread")) == ["bread", "cheese", "wine"]


def test_a_rebuild_of_which_nothing_came_replaces_nothing(
    notes, bring_up_to_date, monkeypatch, found
):
    def fail(instance, name):
        raise RuntimeError("broken")

    with monkeypatch.context() as patched:
        patched.setattr("wagtail_vector_index.indexing.preparing.read_field", fail)
        (updated,) = bring_up_to_date("note", rebuild=True)
    assert (len(updated.drained.errors), updated.built) == (3, False)
    assert sorted(found(NOTES, "bread")) == ["bread", "cheese", "wine"]
    (updated,) = bring_up_to_date("note")
    assert updated.built


@pytest.mark.parametrize("finished", [False, True])
def test_a_process_with_other_settings_takes_nothing_from_the_outbox(
    notes, bring_up_to_date, settings, monkeypatch, found, finished
):
    """One that began before the settings changed, and works on while the index is rebuilt."""
    late = _Drain(NOTES, Progress())
    model_changed(settings, MODEL="better")
    with monkeypatch.context() as patched:
        if not finished:
            patched.setattr(updating, "_flip", lambda *arguments: None)
            patched.setattr(updating, "_drain_together", lambda index, progress: Drained())
        bring_up_to_date("note")
    if finished:
        queue(NOTES.name, NOTES.source_keys())
    assert PendingChange.objects.count() == 3
    with pytest.raises(RebuildRunning):
        late.run()
    assert PendingChange.objects.count() == 3
    bring_up_to_date("note")
    assert sorted(found(NOTES, "bread")) == ["bread", "cheese", "wine"]


def test_a_collection_that_comes_while_another_process_writes_lacks_nothing(notes, monkeypatch):
    """That one took note of its rows in the outbox when there was one collection to write to."""
    queue(NOTES.name, NOTES.source_keys())
    plan = Plan.of(NOTES)
    write = draining.write

    def slowly(*arguments, **named):
        monkeypatch.setattr(draining, "write", write)
        updating._ensure_collection(plan, rebuild=True)
        queue(NOTES.name, changed_keys(NOTES, updating._targets(plan), Progress()))
        return write(*arguments, **named)

    monkeypatch.setattr(draining, "write", slowly)
    draining.drain(NOTES)
    assert Collection.objects.get(state=State.BUILDING).document_count == 3


def test_a_new_filter_field_builds_beside(notes, bring_up_to_date, monkeypatch):
    fields = [*Note.vector_filter_fields, FilterField("length", source="text", type="str")]
    monkeypatch.setattr(Note, "vector_filter_fields", fields)
    NOTES.__dict__.pop("configuration", None)
    with pytest.raises(IndexOutdated, match="was built with other filter fields: 'length'"):
        NOTES.search("bread", filter=Q(length="wine")).count()
    assert NOTES.search("bread").count() == 3
    (updated,) = bring_up_to_date("note")
    assert updated.built
    assert NOTES.search("bread", filter=Q(length="wine")).count() == 1
    monkeypatch.undo()
    NOTES.__dict__.pop("configuration", None)


def test_a_filter_field_of_another_type_filters_until_it_is_built(
    notes, bring_up_to_date, monkeypatch
):
    def declare(type_):
        fields = [*declared, FilterField("number", source="pk", type=type_)]
        monkeypatch.setattr(Note, "vector_filter_fields", fields)
        NOTES.__dict__.pop("configuration", None)

    declared = Note.vector_filter_fields
    declare("int")
    bring_up_to_date("note")
    first = Note.objects.order_by("pk").first()
    declare("float")
    wanted = Q(number=first.pk) | Q(number__isnull=True)
    assert [note.pk for note in NOTES.search("bread", filter=wanted)] == [first.pk]
    with pytest.raises(IndexOutdated, match="was built with other filter fields: number"):
        NOTES.search("bread", filter=Q(number=0.5)).count()
    bring_up_to_date("note")
    assert [note.pk for note in NOTES.search("bread", filter=wanted)] == [first.pk]
    monkeypatch.undo()
    NOTES.__dict__.pop("configuration", None)


def test_a_failing_backend_leaves_the_old_collection_serving(server, bring_up_to_date, found):
    Note.objects.create(text="bread")
    bring_up_to_date("note")

    def down(method):
        raise BackendUnavailable("the server is down")

    server.before = down
    with pytest.raises(BackendUnavailable):
        bring_up_to_date("note", rebuild=True)
    server.before = lambda method: None
    assert found(NOTES, "bread") == ["bread"]
    assert Collection.objects.filter(state=State.ACTIVE).count() == 1
    bring_up_to_date("note")
    assert sorted(Collection.objects.values_list("state", flat=True)) == ["active", "retired"]


def test_retired_collections_are_dropped_after_their_grace(server, bring_up_to_date):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    bring_up_to_date("note", rebuild=True)
    assert len(server.collections()) == 2
    Collection.objects.filter(state=State.RETIRED).update(
        retired_at=timezone.now() - cleaning.RETIREMENT - datetime.timedelta(seconds=1)
    )
    bring_up_to_date("note")
    active = Collection.objects.get()
    assert server.collections() == [active.name]
    assert Document.objects.count() == active.document_count == 1


def test_a_rebuild_of_one_index_leaves_the_others_alone(article, bring_up_to_date):
    article("Bread", "<p>flour</p>")
    bring_up_to_date("testapp.ArticlePage", "SiteIndex")
    before = Collection.objects.get(index="testapp.SiteIndex").pk
    bring_up_to_date("testapp.ArticlePage", rebuild=True)
    assert Collection.objects.get(index="testapp.SiteIndex", state=State.ACTIVE).pk == before


def test_an_index_is_optimized_before_it_serves(server, bring_up_to_date):
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    assert server.optimized == [Collection.objects.get().name]


class TestTwoAtOnce:
    """One builds, and another one comes."""

    @pytest.fixture
    def building(self, notes, bring_up_to_date, monkeypatch):
        with monkeypatch.context() as patched:
            patched.setattr(updating, "_flip", lambda *arguments: None)
            bring_up_to_date("note", rebuild=True)
        return Collection.objects.get(state=State.BUILDING)

    def led_by(self, building, process, *, seconds_ago=0):
        seen = timezone.now() - datetime.timedelta(seconds=seconds_ago)
        Collection.objects.filter(pk=building.pk).update(builder=process, builder_seen=seen)

    @pytest.mark.parametrize("rebuild", [False, True])
    def test_the_second_takes_a_share_and_leaves_the_rest_to_the_first(
        self, building, bring_up_to_date, embedder, rebuild
    ):
        self.led_by(building, "elsewhere:7")
        queue(NOTES.name, [f"testapp.note:{Note.objects.create(text='butter').pk}"])
        (updated,) = bring_up_to_date("note", rebuild=rebuild)
        assert updated.leader == "elsewhere:7"
        assert not updated.built
        assert updated.drained.objects == 1
        assert embedder.texts == ["butter"]
        assert sorted(Collection.objects.values_list("state", flat=True)) == ["active", "building"]
        assert list(Collection.objects.values_list("document_count", flat=True)) == [4, 4]

    def test_the_second_sends_what_it_has_written(self, server, building, bring_up_to_date):
        """The first may have sent its changes for the last time before that."""
        self.led_by(building, "elsewhere:7")
        queue(NOTES.name, [f"testapp.note:{Note.objects.create(text='butter').pk}"])
        bring_up_to_date("note")
        active = Collection.objects.get(state=State.ACTIVE)
        assert active.applied_revision == active.revision
        assert server.count(active.spec) == 4

    def test_the_second_goes_on_if_the_first_dies_while_it_works(
        self, building, bring_up_to_date, embedder
    ):
        self.led_by(building, "elsewhere:7")
        queue(NOTES.name, [f"testapp.note:{Note.objects.create(text='butter').pk}"])
        embedder.before = lambda texts: self.led_by(building, "elsewhere:7", seconds_ago=301)
        (updated,) = bring_up_to_date("note")
        assert updated.built
        assert Collection.objects.get(state=State.ACTIVE) == building

    def test_the_second_says_who_finishes_the_build(self, building):
        self.led_by(building, "elsewhere:7")
        queue(NOTES.name, [f"testapp.note:{Note.objects.create(text='butter').pk}"])
        stream = io.StringIO()
        call_command("update_vector_indexes", "note", stdout=stream)
        assert "testapp.Note: 1 objects written (2 chunks added, 0 deleted)." in stream.getvalue()
        assert "The process elsewhere:7 leads the build and finishes it." in stream.getvalue()

    def test_the_second_waits_until_the_first_has_compared(
        self, building, bring_up_to_date, monkeypatch
    ):
        self.led_by(building, "elsewhere:7")
        own_row = Collection.objects.filter(pk=building.pk)
        own_row.update(compared_at=None)
        Note.objects.bulk_create([Note(text="butter"), Note(text="milk")])  # nobody notices

        def the_first_compares(seconds):
            queue(NOTES.name, NOTES.source_keys())
            own_row.update(compared_at=timezone.now())

        monkeypatch.setattr(updating.time, "sleep", the_first_compares)
        (updated,) = bring_up_to_date("note")
        assert updated.leader == "elsewhere:7"
        assert updated.drained.objects == 5
        assert own_row.get().document_count == 5

    @pytest.mark.parametrize("seen", [0, 301, -300])
    def test_the_second_finishes_what_the_first_left(
        self, building, bring_up_to_date, monkeypatch, found, seen
    ):
        """It failed, it was not heard of any more, or its clock was wrong."""
        self.led_by(building, "elsewhere:7")
        Collection.objects.filter(pk=building.pk).update(compared_at=None)
        Note.objects.bulk_create([Note(text="butter")])

        def the_first_ends(seconds):
            self.led_by(building, "elsewhere:7" if seen else "", seconds_ago=seen)

        monkeypatch.setattr(updating.time, "sleep", the_first_ends)
        (updated,) = bring_up_to_date("note")
        assert updated.built
        assert Collection.objects.get(state=State.ACTIVE) == building
        assert sorted(found(NOTES, "butter")) == ["bread", "butter", "cheese", "wine"]

    def test_the_second_ends_if_the_first_has_finished(
        self, building, bring_up_to_date, monkeypatch
    ):
        self.led_by(building, "elsewhere:7")
        own_row = Collection.objects.filter(pk=building.pk)
        own_row.update(compared_at=None)

        def the_first_finishes(seconds):
            Collection.objects.filter(state=State.ACTIVE).update(state=State.RETIRED)
            own_row.update(state=State.ACTIVE, builder="")

        monkeypatch.setattr(updating.time, "sleep", the_first_finishes)
        (updated,) = bring_up_to_date("note")
        assert not updated.built
        assert updated.drained.objects == 0

    def test_of_one_that_was_killed_the_rest_is_built(self, building, bring_up_to_date):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        self.led_by(building, f"{process_name().rpartition(':')[0]}:{dead.pid}")
        (updated,) = bring_up_to_date("note", rebuild=True)
        assert updated.built
        assert Collection.objects.get(state=State.ACTIVE) == building

    def test_of_one_that_was_not_heard_of_the_rest_is_built(self, building, bring_up_to_date):
        self.led_by(building, "elsewhere:7", seconds_ago=301)
        bring_up_to_date("note")
        assert Collection.objects.get(state=State.ACTIVE) == building

    @pytest.mark.parametrize("ahead", [300, 86_400])
    def test_of_one_that_was_seen_in_the_future_the_rest_is_built(
        self, building, bring_up_to_date, ahead
    ):
        """Its clock was wrong, and nothing says that it still works."""
        self.led_by(building, "elsewhere:7", seconds_ago=-ahead)
        bring_up_to_date("note")
        assert Collection.objects.get(state=State.ACTIVE) == building

    def test_one_with_other_settings_is_left_alone_while_it_works(
        self, building, bring_up_to_date, settings
    ):
        self.led_by(building, "elsewhere:7")
        model_changed(settings, MODEL="better")
        for rebuild in (False, True):
            with pytest.raises(RebuildRunning, match="other settings .*elsewhere:7"):
                bring_up_to_date("note", rebuild=rebuild)
        building.refresh_from_db()
        assert building.state == State.BUILDING
        self.led_by(building, "elsewhere:7", seconds_ago=301)
        bring_up_to_date("note")
        assert Collection.objects.get(state=State.ACTIVE) != building

    def test_one_that_fails_leaves_it_to_the_next(self, notes, bring_up_to_date, settings):
        def down(texts):
            raise EmbeddingUnavailable("the service is down")

        model_changed(settings, MODEL="better")
        embedding_backends["default"].before = down
        with pytest.raises(EmbeddingUnavailable):
            bring_up_to_date("note")
        assert Collection.objects.get(state=State.BUILDING).builder == ""

    def test_a_builder_is_heard_of_while_it_works(self, notes, bring_up_to_date, settings):
        def an_hour_passes(texts):
            Collection.objects.filter(state=State.BUILDING).update(builder_seen=long_ago)
            heartbeat._last_beat -= 3600

        long_ago = timezone.now() - datetime.timedelta(hours=1)
        building = updating._ensure_collection(Plan.of(NOTES), rebuild=True)
        lead(building)
        heartbeat = Heartbeat(building, Progress())
        an_hour_passes([])
        heartbeat.embedded(1)
        assert Collection.objects.get(pk=building.pk).builder_seen > long_ago

    def test_a_builder_is_heard_of_while_it_fills_the_backend(
        self, server, bring_up_to_date, monkeypatch
    ):
        """Which can take longer than a builder is believed to live without a word."""
        monkeypatch.setattr(building_module, "HEARTBEAT", 0.0)
        monkeypatch.setattr(pushing, "written_after", in_batches_of_one)
        long_ago = timezone.now() - datetime.timedelta(hours=1)
        heard = []

        def note(method):
            building = Collection.objects.filter(state=State.BUILDING)
            heard.append(building.get().builder_seen)
            building.update(builder_seen=long_ago)

        server.before = lambda method: note(method) if method == "upsert" else None
        for text in ("bread", "cheese", "wine"):
            Note.objects.create(text=text)
        bring_up_to_date("note")
        assert len(heard) == 3
        assert all(seen > long_ago for seen in heard)


def in_batches_of_one(collection, revision, until=None):
    return batches.written_after(collection, revision, 1, until=until)


@pytest.mark.parametrize("is_persistent", [False, True])
def test_a_search_that_began_before_a_rebuild_ended(
    request, embedder, bring_up_to_date, is_persistent
):
    """It neither shows a text that is gone, nor puts the old collection in the new one's place."""
    if is_persistent:
        request.getfixturevalue("server")
    for text in ("bread", "cake"):
        Note.objects.create(text=text)
    bring_up_to_date("note")
    assert len(NOTES.search("bread")) == 2

    def meanwhile(texts):
        embedder.before = lambda texts: None
        bring_up_to_date("note", rebuild=True)
        Note.objects.filter(text="cake").update(text="tea")
        bring_up_to_date("note")
        assert len(NOTES.search("bread")) == 2

    embedder.before = meanwhile
    results = NOTES.search("cake")
    assert sorted(result.vector_excerpt for result in results) == ["bread", "tea"]
    active = Collection.objects.get(state=State.ACTIVE)
    assert results.search.searched[0] == active
    backend = vector_backends["default"]
    assert catch_up(active, backend).name in backend.collections()


def test_a_search_that_began_before_a_rebuild_with_another_model_ended(
    notes, embedder, bring_up_to_date
):
    """As by a process with newer settings: vectors of two models are not mixed."""

    def meanwhile(texts):
        embedder.before = lambda texts: None
        bring_up_to_date("note", rebuild=True)
        Collection.objects.filter(state=State.ACTIVE).update(fingerprint="another model")

    embedder.before = meanwhile
    with pytest.raises(IndexOutdated):
        list(NOTES.search("bread"))


class TestNewerSettings:
    """A process whose settings were replaced, such as cron of an old release."""

    def pass_time(self, days):
        for row in Collection.objects.exclude(retired_at=None):
            moment = row.retired_at - datetime.timedelta(days=days)
            Collection.objects.filter(pk=row.pk).update(retired_at=moment)

    def test_it_does_not_turn_back_the_change(self, notes, bring_up_to_date, settings):
        bring_up_to_date("note")
        model_changed(settings, MODEL="better")
        bring_up_to_date("note")
        self.pass_time(days=1)
        bring_up_to_date("note")  # drops the former collection
        assert Document.objects.filter(collection__state=State.DROPPED).count() == 0
        better = Collection.objects.get(state=State.ACTIVE)
        model_changed(settings)
        with pytest.raises(RebuildRunning, match="Newer settings are at work: testapp.Note"):
            bring_up_to_date("note")
        assert Collection.objects.get(state=State.ACTIVE) == better
        (updated,) = bring_up_to_date("note", rebuild=True)
        assert updated.built

    def test_they_are_remembered_for_a_month(self, notes, bring_up_to_date, settings):
        bring_up_to_date("note")
        model_changed(settings, MODEL="better")
        bring_up_to_date("note")
        for _ in range(2):
            self.pass_time(days=31)
            bring_up_to_date("note")
        assert Collection.objects.get().state == State.ACTIVE
        model_changed(settings)
        (updated,) = bring_up_to_date("note")
        assert updated.built

    def test_a_third_model_is_a_change_like_any(self, notes, bring_up_to_date, settings):
        for model in ("better", "best"):
            model_changed(settings, MODEL=model)
            (updated,) = bring_up_to_date("note")
            assert updated.built

    def test_those_of_a_build_that_was_given_up_are_not(self, notes, bring_up_to_date, settings):
        def fail(texts):
            raise EmbeddingUnavailable("the service is down")

        bring_up_to_date("note")
        model_changed(settings, MODEL="better")
        embedding_backends["default"].before = fail
        with pytest.raises(EmbeddingUnavailable):
            bring_up_to_date("note")
        model_changed(settings)
        bring_up_to_date("note")
        bring_up_to_date("note", rebuild=True)
        model_changed(settings, MODEL="better")
        (updated,) = bring_up_to_date("note")
        assert updated.built
