"""The same content twice: as a plain model and as pages."""

from django.db import models
from wagtail.models import Page
from wagtail.search import index

from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin


class Passage(VectorIndexedMixin, models.Model):
    """A passage of text: one document."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]


class PassagePage(VectorIndexedMixin, Page):
    """The same as a page."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]
    search_fields = [*Page.search_fields, index.SearchField("body")]
