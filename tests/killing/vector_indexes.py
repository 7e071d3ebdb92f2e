"""The index of the kill test's site besides those of the tests' app."""

from wagtail.documents.models import Document

from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.models import EmbeddingField


class DocumentIndex(VectorIndex):
    """Files, which can be private with their collections."""

    querysets = [Document.objects.all()]
    embedding_fields = [EmbeddingField("title")]
