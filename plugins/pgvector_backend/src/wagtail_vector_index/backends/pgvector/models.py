"""The registry of the tables that hold vectors, one for each collection."""

from __future__ import annotations

from django.db import models

#: The prefix of table names, before the collection's name. A table name has at most 63 characters.
PREFIX = "wvi_vectors_"


class VectorTable(models.Model):
    """A collection, and the shape that its table was created with.

    The tables of vectors have no models: each has its own columns, and tables are created and
    dropped while the site runs.
    """

    name = models.CharField(max_length=48, unique=True)
    dimensions = models.PositiveIntegerField()
    metric = models.CharField(max_length=16)
    fields = models.JSONField(default=dict)

    class Meta:
        db_table = "wvi_pgvector_table"

    def __str__(self) -> str:
        return self.name
