"""The mixin that makes a site's own model searchable by meaning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from django.apps import apps
from django.db import models

from ..content.fields import EmbeddingField, FilterField


class ModelIndexDescriptor:
    """Returns, for each model, the index over that model alone."""

    def __get__(self, instance: Any, owner: type[models.Model]) -> Any:
        config: Any = apps.get_app_config("wagtail_vector_index")
        return config.model_index(owner)


class VectorIndexedMixin(models.Model):
    """Adds ``vector_index``, an index over all objects of the model.

    Set ``vector_index = None`` on a model that needs no index of its own, because an index in
    ``vector_indexes.py`` includes it.

    Example::

        class BlogPage(VectorIndexedMixin, Page):
            body = StreamField(...)
            embedding_fields = [EmbeddingField("title", important=True), EmbeddingField("body")]
            vector_filter_fields = ["locale", "first_published_at"]

        BlogPage.vector_index.search("how do I bake bread?", limit=5)
    """

    embedding_fields: ClassVar[Sequence[EmbeddingField]] = ()
    vector_filter_fields: ClassVar[Sequence[str | FilterField]] = ()
    vector_index = ModelIndexDescriptor()

    class Meta:
        abstract = True
