from django.db import models

from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin


class Recipe(VectorIndexedMixin, models.Model):
    title = models.CharField(max_length=100)
    text = models.TextField()

    embedding_fields = [EmbeddingField("title", important=True), EmbeddingField("text")]

    def __str__(self):
        return self.title
