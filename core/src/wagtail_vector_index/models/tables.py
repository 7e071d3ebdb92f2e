"""The record: what is indexed, kept once in the site's own database.

Vector backends hold what can be derived from these four tables. Documents are immutable:
one id means one content, metadata and vector for ever.
"""

from __future__ import annotations

import uuid
from functools import cached_property
from typing import Any

from django.apps import apps
from django.db import models, router
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..contract.spec import CollectionSpec
from ..exceptions import AppNotInstalled

if apps.apps_ready and not apps.is_installed("wagtail_vector_index"):
    raise AppNotInstalled(
        "wagtail_vector_index.models needs wagtail_vector_index in INSTALLED_APPS. Add it, and run:"
        " manage.py migrate"
    )

NO_IDS = uuid.UUID(int=0)

#: A model's name and a primary key, which may be a URL; in characters of four bytes, what an
#: index of PostgreSQL or MySQL still holds.
OBJECT_KEY_LENGTH = 640


class IndexTableQuerySet(models.QuerySet[Any]):
    """A queryset over the record."""

    def delete_rows(self) -> int:
        """Delete in one statement, and say how many rows that were.

        Wagtail listens to the deletion of every model, so that ``delete()`` would load
        each row first, texts and all.
        """
        return self._raw_delete(self.db)


class IndexTableManager(models.Manager.from_queryset(IndexTableQuerySet)):  # type: ignore[misc]
    """Reads from the database that is written to: a replica may lag behind."""

    def get_queryset(self) -> IndexTableQuerySet:
        """All rows, from the database that the routers write to."""
        return super().get_queryset().using(index_database())  # type: ignore[no-any-return]


def index_database() -> str:
    """The alias of the database that holds the record."""
    return router.db_for_write(Collection)


class Collection(models.Model):
    """One physical collection in a vector backend, derived from the record."""

    class State(models.TextChoices):
        """Where a collection is in its life."""

        BUILDING = "building", _("building")
        ACTIVE = "active", _("active")
        RETIRED = "retired", _("retired")

    name = models.CharField(max_length=48, unique=True)
    index = models.CharField(max_length=255)
    vector_backend = models.CharField(max_length=255)
    #: What makes its vectors comparable.
    fingerprint = models.CharField(max_length=255)
    #: How texts were split.
    chunking = models.CharField(max_length=255)
    dimensions = models.PositiveIntegerField()
    metric = models.CharField(max_length=16)
    fields = models.JSONField(default=dict)
    state = models.CharField(max_length=16, choices=State.choices, default=State.BUILDING)
    #: Raised by every change of its documents.
    revision = models.PositiveBigIntegerField(default=0)
    #: Up to which revision the vector backend has been told.
    applied_revision = models.PositiveBigIntegerField(default=0)
    #: How many live documents it has, and the XOR of their ids.
    document_count = models.PositiveBigIntegerField(default=0)
    document_xor = models.UUIDField(default=NO_IDS)
    #: How often in a row a service that it needs has failed, with the last error, and before
    #: when nothing is tried by itself.
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt = models.DateTimeField(null=True, blank=True)
    #: For when a task is put off that tries again.
    retry_task_at = models.DateTimeField(null=True, blank=True)
    #: The process that builds it, and when that was last heard of.
    builder = models.CharField(max_length=255, blank=True)
    builder_seen = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    retired_at = models.DateTimeField(null=True, blank=True)
    #: When its revision was last raised.
    changed_at = models.DateTimeField(null=True, blank=True)

    #: Wagtail need not look for references in these rows.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_collection"
        # Wagtail has collections too, and lists the permissions of both.
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
        """Whether its vector backend lacks changes."""
        return self.applied_revision < self.revision

    @cached_property
    def spec(self) -> CollectionSpec:
        """What the vector backend is told with every operation."""
        return CollectionSpec(
            name=self.name,
            dimensions=self.dimensions,
            metric=self.metric,  # type: ignore[arg-type]
            fields=self.fields,
        )


class Embedding(models.Model):
    """The vector of one text under one model: the same text is embedded once."""

    fingerprint = models.CharField(max_length=255)
    content_hash = models.CharField(max_length=64)
    #: float32, in the byte order of the machine.
    vector = models.BinaryField()
    created_at = models.DateTimeField(default=timezone.now)

    #: Wagtail need not look for references in these rows.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_embedding"
        verbose_name = _("embedding")
        verbose_name_plural = _("embeddings")
        constraints = [
            models.UniqueConstraint(
                fields=["content_hash", "fingerprint"], name="wvi_embedding_unique"
            ),
        ]

    def __str__(self) -> str:
        return self.content_hash


class Document(models.Model):
    """One chunk of a source object's text, or the tombstone of one."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    collection = models.ForeignKey(
        Collection, on_delete=models.CASCADE, related_name="documents", db_index=False
    )
    #: The source object: its model and key.
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    position = models.PositiveIntegerField()
    #: The important fields, embedded ahead of the content.
    context = models.TextField(blank=True)
    content = models.TextField()
    content_hash = models.CharField(max_length=64)
    #: JSON text, as it goes to the vector backend.
    metadata = models.TextField()
    #: What the source object was when this was last seen to be up to date.
    source_hash = models.CharField(max_length=32)
    embedding = models.ForeignKey(
        Embedding, on_delete=models.PROTECT, null=True, related_name="documents"
    )
    #: The collection's revision that wrote or, of a tombstone, deleted it.
    revision = models.PositiveBigIntegerField()
    deleted_at = models.DateTimeField(null=True, blank=True)

    #: Wagtail need not look for references in these rows.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_document"
        verbose_name = _("document")
        verbose_name_plural = _("documents")
        indexes = [
            models.Index(fields=["collection", "object_key"], name="wvi_document_object"),
            models.Index(fields=["collection", "revision"], name="wvi_document_revision"),
        ]

    def __str__(self) -> str:
        return f"{self.object_key} #{self.position}"


class PendingChange(models.Model):
    """A source object that changed and is not yet indexed. Rows are only added."""

    class Scope(models.TextChoices):
        """What a row stands for."""

        OBJECT = "object", _("the object")
        SUBTREE = "subtree", _("the page and all below it")
        READERS = "readers", _("the objects that read this one")

    id = models.BigAutoField(primary_key=True)
    index = models.CharField(max_length=255)
    object_key = models.CharField(max_length=OBJECT_KEY_LENGTH)
    scope = models.CharField(max_length=16, choices=Scope.choices, default=Scope.OBJECT)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    last_error = models.TextField(blank=True)
    next_attempt = models.DateTimeField(default=timezone.now)

    #: Wagtail need not look for references in these rows.
    wagtail_reference_index_ignore = True

    objects = IndexTableManager()

    class Meta:
        db_table = "wvi_pending_change"
        verbose_name = _("pending change")
        verbose_name_plural = _("pending changes")
        indexes = [models.Index(fields=["index", "next_attempt"], name="wvi_pending_next")]

    def __str__(self) -> str:
        return f"{self.index}: {self.object_key}"


def xor(ids: Any) -> int:
    """The XOR of ids, whatever their order: a checksum that one more id changes."""
    result = 0
    for id in ids:
        result ^= id.int
    return result
