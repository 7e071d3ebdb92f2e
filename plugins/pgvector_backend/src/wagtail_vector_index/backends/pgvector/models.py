"""The registry of the tables that hold vectors, one for each collection."""

from __future__ import annotations

from django.db import models

#: What the names of collections are put after; 63 characters is all that a table's may have.
PREFIX = "wvi_vectors_"


class VectorTable(models.Model):
    """A collection, and the shape that its table was made with.

    The tables themselves are no models: each has columns of its own, and comes and goes
    while the site runs.
    """

    name = models.CharField(max_length=48, unique=True)
    dimensions = models.PositiveIntegerField()
    metric = models.CharField(max_length=16)
    fields = models.JSONField(default=dict)

    class Meta:
        db_table = "wvi_pgvector_table"

    def __str__(self) -> str:
        return self.name
