"""The index tables: all indexed data, stored once in the site's own database.

The data in vector backends is derived from these four tables. Documents are immutable: an id
always stands for the same content, metadata and vector.
"""

from __future__ import annotations

import functools
import uuid
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import models, router
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..content.lookups import InOneParameter
from ..contract.recall import Recall
from ..contract.spec import CollectionSpec
from ..exceptions import AppNotInstalled
from .transactions import in_transaction, tried_again

if apps.apps_ready and not apps.is_installed("wagtail_vector_index"):
    raise AppNotInstalled(
        "wagtail_vector_index.models needs wagtail_vector_index in INSTALLED_APPS. Add it, then"
        " run: manage.py migrate"
    )

#: The most rows that one statement of `IndexTableQuerySet.delete_in_parts` deletes.
_PART = 2_000

NO_IDS = uuid.UUID(int=0)

#: The longest model name with a primary key, which may be a URL, and the longest name of an index.
#: Even with four bytes for each character, both together fit into an index of a table in MySQL.
OBJECT_KEY_LENGTH = 640
INDEX_NAME_LENGTH = 120


class IndexTableQuerySet(models.QuerySet[Any]):
    """A queryset over one of the index tables.

    Its writes are tried again after a conflict with another transaction.
    """

    def update(self, **values: Any) -> int:
        """Update the rows in one statement, and return their number."""
        return tried_again(functools.partial(super().update, **values), self.db)

    update.alters_data = True  # type: ignore[attr-defined]  # not to be called by templates

    def delete_rows(self) -> int:
        """Delete the rows in one statement, and return their number.

        Wagtail handles the deletion signals of every model. Because of that, ``delete()`` would
        load each row first, including its texts.
        """
        return tried_again(functools.partial(self._raw_delete, self.db), self.db)

    def delete_in_parts(self, by: str) -> None:
        """Delete the rows in many short transactions, so that nobody waits long to write.

        If that is interrupted, some of the rows are left.

        Args:
            by: the column in whose order the rows are read. It should have an index that begins
                with what the queryset filters by.
        """
        rows = self.order_by(by)
        # Each column once: the first releases of Django 5.2 give the same column once in any case.
        columns = dict.fromkeys(["pk", by])
        while some := list(rows.values_list(*columns)[:_PART]):
            last = some[-1][-1]
            # The conditions may no longer hold for a row, so they count again. Without the last
            # value, SQLite would look through all rows for which they hold.
            part = self.filter(**{f"{by}__lte": last}, pk__in=[row[0] for row in some])
            in_transaction(part.delete_rows, self.db)
            if len(some) < _PART:
                break
            rows = self.filter(**{f"{by}__gte": last}).order_by(by)


class IndexTableManager(models.Manager.from_queryset(IndexTableQuerySet)):  # type: ignore[misc]
    """Reads from the database that is written to, because a replica may lag behind."""

    def get_queryset(self) -> IndexTableQuerySet:
        """Return all rows, from the database that the routers write to."""
        return super().get_queryset().using(index_database())  # type: ignore[no-any-return]


def index_database() -> str:
    """Return the alias of the database that holds the index tables."""
    return router.db_for_write(Collection)


class Collection(models.Model):
    """One physical collection in a vector backend, derived from the index tables."""

    class State(models.TextChoices):
        """The stages in the life of a collection."""

        BUILDING = "building", _("building")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")
        #: Only this row is left, to recognize settings that were used before.
        DROPPED = "dropped", _("dropped")

    name = models.CharField(max_length=48, unique=True)
    index = models.CharField(max_length=255)
    vector_backend = models.CharField(max_length=255)
    #: The fingerprint of the embedding backend: vectors with the same one are comparable.
    fingerprint = models.CharField(max_length=255)
    #: The settings with which texts were split.
    chunking = models.CharField(max_length=255)
    dimensions = models.PositiveIntegerField()
    metric = models.CharField(max_length=16)
    fields = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.BUILDING)
    #: Every change of the collection's documents increases this number.
    revision = models.PositiveBigIntegerField(default=0)
    #: The last revision whose changes the vector backend has.
    applied_revision = models.PositiveBigIntegerField(default=0)
    #: The last revision whose changes were sent to the vector backend. It may have those after
    #: ``applied_revision`` in part: nobody knows how the last attempt to send them ended.
    sent_revision = models.PositiveBigIntegerField(default=0)
    #: The run of the backend's service whose records were verified last; `VectorBackend` explains.
    service_run = models.CharField(max_length=255, blank=True)
    #: Whether the embeddings of its documents are kept once the vector backend has them.
    keep_embeddings = models.BooleanField(default=True, db_default=True)
    #: Documents up to this revision may have no embedding any more, because it was dropped.
    dropped_revision = models.PositiveBigIntegerField(default=0, db_default=0)
    #: The recall of its searches and their setting; None if they are exact, or not measured yet.
    recall = models.JSONField(null=True, blank=True)
    #: The full names of the plugins whose hooks changed its documents before they were embedded.
    plugins = models.JSONField(default=list, blank=True)
    #: The number of objects that have live documents, since to count a million takes some seconds.
    object_count = models.PositiveBigIntegerField(default=0, db_default=0)
    #: The number of live documents, and the XOR of their ids.
    document_count = models.PositiveBigIntegerField(default=0)
    document_xor = models.UUIDField(default=NO_IDS)
    #: The number of failures in a row of a service that the collection needs, the last error, and
    #: the time before which no automatic attempt is made.
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt = models.DateTimeField(null=True, blank=True)
    #: The time of the deferred task that will try again.
    retry_task_at = models.DateTimeField(null=True, blank=True)
    #: The deployment of the site that created the collection in the vector backend.
    owner = models.TextField(blank=True)
    #: The process that leads the build of the collection, and the time of its last heartbeat.
    builder = models.CharField(max_length=255, blank=True)
    builder_seen = models.DateTimeField(null=True, blank=True)
    #: When all objects that the collection lacked were last put into the outbox.
    compared_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True)
    #: Whether it served searches until another collection replaced it. A build that was given up
    #: says nothing about which settings are newer.
    served = models.BooleanField(default=False, db_default=False)
    #: When the revision last increased.
    changed_at = models.DateTimeField(null=True, blank=True)

    #: Wagtail need not search these rows for references.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_collection"
        # Wagtail lists the permissions of its own collections as well, so these need another name.
        verbose_name = _("vector collection")
        verbose_name_plural = _("vector collections")
        permissions = [("manage_collection", _("Can manage vector indexes"))]
        constraints = [
            models.UniqueConstraint(
                fields=["index"],
                condition=models.Q(state="active"),
                name="wvi_collection_one_active",
            ),
            models.UniqueConstraint(
                fields=["index"],
                condition=models.Q(state="building"),
                name="wvi_collection_one_building",
            ),
        ]
        indexes = [models.Index(fields=["index", "state"], name="wvi_collection_index")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_behind(self) -> bool:
        """Whether the vector backend lacks changes."""
        return self.applied_revision < self.revision

    @cached_property
    def spec(self) -> CollectionSpec:
        """The specification that every operation of the vector backend takes."""
        return CollectionSpec(
            name=self.name,
            dimensions=self.dimensions,
            metric=self.metric,  # type: ignore[arg-type]
            fields=self.fields,
            recall=Recall.from_json(self.recall) if self.recall else None,
        )


class Embedding(models.Model):
    """The vector of one text under one model. The same text is embedded only once."""

    fingerprint = models.CharField(max_length=255)
    content_hash = models.CharField(max_length=64)
    #: float32, in the byte order of the machine.
    vector = models.BinaryField()
    #: Whether the vector may have another length than the model returned. It was then read from a
    #: vector backend with the metric cosine, and only indexes with this metric use it.
    direction_only = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(default=timezone.now)

    #: Wagtail need not search these rows for references.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_embedding"
        verbose_name = _("embedding")
        verbose_name_plural = _("embeddings")
        constraints = [
            models.UniqueConstraint(
                fields=["content_hash", "fingerprint", "direction_only"],
                name="wvi_embedding_unique",
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="wvi_embedding_created")]

    def __str__(self) -> str:
        return self.content_hash


class Document(models.Model):
    """One chunk of a source object's text, or the tombstone of a deleted chunk."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(
        Collection, on_delete=models.CASCADE, related_name="documents", db_index=False
    )
    #: The source object: its model and key.
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    position = models.PositiveIntegerField()
    #: The text of the important fields, which is embedded before the content.
    context = models.TextField(blank=True)
    content = models.TextField()
    #: The numbers of the content's lines that excerpts leave out, such as "4,6".
    label_lines = models.TextField(blank=True, default="")
    content_hash = models.CharField(max_length=64)
    #: The JSON text that goes to the vector backend.
    metadata = models.TextField()
    #: The hash of the source object when this document was last found up to date.
    source_hash = models.CharField(max_length=32)
    #: None for a tombstone, and if the embedding was dropped because the vector backend has it.
    embedding = models.ForeignKey(
        Embedding, on_delete=models.PROTECT, null=True, related_name="documents"
    )
    #: The collection's revision that wrote the document or, for a tombstone, deleted it.
    revision = models.PositiveBigIntegerField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    #: Wagtail need not search these rows for references.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_document"
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = [
            models.Index(fields=["collection", "object_key"], name="wvi_document_object"),
            models.Index(fields=["collection", "revision"], name="wvi_document_revision"),
            models.Index(
                fields=["deleted_at"],
                condition=models.Q(deleted_at__isnull=False),
                name="wvi_document_tombstones",
            ),
            models.Index(
                fields=["collection", "content_hash"],
                condition=models.Q(embedding__isnull=True, deleted_at__isnull=True),
                name="wvi_document_dropped",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.object_key} #{self.position}"


class PendingChange(models.Model):
    """A source object that changed and is not yet indexed. Rows are only added.

    A promise is a row that is written before a save outside of a transaction. The save replaces
    it. If the process ends in between, the promise remains and counts as a change once its
    ``next_attempt`` has passed.
    """

    class Scope(models.TextChoices):
        """The objects that a row stands for."""

        OBJECT = "object", _("the object")
        SUBTREE = "subtree", _("the page and all below it")
        READERS = "readers", _("the objects that read this one")
        INDEX = "index", _("any object of the index")

    id = models.BigAutoField(primary_key=True)
    index = models.CharField(max_length=INDEX_NAME_LENGTH)
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.OBJECT)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt = models.DateTimeField(default=timezone.now)
    #: Identifies the save that a promise was written for; None for a change.
    promise = models.UUIDField(null=True, blank=True, db_index=True)
    #: The drain that has the row in its share, or None, and the time of its last heartbeat.
    holder = models.CharField(max_length=255, null=True, blank=True)  # noqa: DJ001  # its indexes leave out None
    holder_seen = models.DateTimeField(null=True, blank=True)

    #: Wagtail need not search these rows for references.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_pending_change"
        verbose_name = _("pending change")
        verbose_name_plural = _("pending changes")
        indexes = [
            models.Index(fields=["index", "next_attempt"], name="wvi_pending_next"),
            models.Index(fields=["index", "object_key"], name="wvi_pending_object"),
            models.Index(
                fields=["index", "holder"],
                condition=models.Q(holder__isnull=False),
                name="wvi_pending_holder",
            ),
            models.Index(
                fields=["index"],
                condition=~models.Q(scope="object"),
                name="wvi_pending_scope",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.index}: {self.object_key}"


for _model in (Collection, Embedding, Document, PendingChange):
    for _field in _model._meta.local_concrete_fields:
        if isinstance(_field, models.AutoField | models.CharField | models.UUIDField):
            _field.register_lookup(InOneParameter)


def xor(ids: Any) -> int:
    """Return the XOR of ids, in any order: a checksum that changes with every added id."""
    result = 0
    for id in ids:
        result ^= id.int
    return result
