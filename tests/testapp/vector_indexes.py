"""The indexes that the tests' site declares."""

from wagtail_vector_index.indexes import PageVectorIndex, VectorIndex
from wagtail_vector_index.models import EmbeddingField

from .models import ArticlePage, EventPage, Product


class SiteIndex(PageVectorIndex):
    """Two kinds of page together."""

    querysets = [ArticlePage.objects.all(), EventPage.objects.exclude(place="nowhere")]
    embedding_fields = [EmbeddingField("title"), EmbeddingField("place")]


class ProductIndex(VectorIndex):
    """Objects with UUIDs."""

    querysets = [Product.objects.all()]
