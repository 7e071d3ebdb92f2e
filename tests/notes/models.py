"""A model for tests that start many processes."""

from django.db import models

from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin


class Note(VectorIndexedMixin, models.Model):
    text = models.TextField(blank=True)
    stars = models.IntegerField(default=0)

    embedding_fields = [EmbeddingField("text")]
    vector_filter_fields = ["stars"]

    def __str__(self):
        return self.text
