"""Two models with the same content: a plain model and a page model."""

from django.db import models
from wagtail.models import Page
from wagtail.search import index

from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin


class Passage(VectorIndexedMixin, models.Model):
    """An object with a short text, which is one document in the index."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]


class PassagePage(VectorIndexedMixin, Page):
    """A page with a short text, which is one document in the index."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]
    search_fields = [*Page.search_fields, index.SearchField("body")]
