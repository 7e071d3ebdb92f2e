"""Models of a site: plain objects, pages, pages that read other objects, and test collections."""

from django.db import models
from modelcluster.contrib.taggit import ClusterTaggableManager
from modelcluster.fields import ParentalKey, ParentalManyToManyField
from taggit.models import TaggedItemBase
from wagtail import blocks
from wagtail.documents.blocks import DocumentChooserBlock
from wagtail.fields import StreamField
from wagtail.images.blocks import ImageBlock, ImageChooserBlock
from wagtail.models import Page
from wagtail.search import index
from wagtail.snippets.blocks import SnippetChooserBlock

from wagtail_vector_index.models import EmbeddingField, FilterField, VectorIndexedMixin


class Passage(VectorIndexedMixin, models.Model):
    """An object with a short text, which is one document in the index."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]


class PassagePage(VectorIndexedMixin, Page):
    """A page with a short text, which is one document in the index."""

    body = models.TextField()

    embedding_fields = [EmbeddingField("body")]
    search_fields = [*Page.search_fields, index.SearchField("body")]


class Publisher(models.Model):
    name = models.CharField(max_length=100)


class Writer(models.Model):
    name = models.CharField(max_length=100)
    publisher = models.ForeignKey(Publisher, on_delete=models.CASCADE)


class Topic(models.Model):
    name = models.CharField(max_length=100)


class StoryTag(TaggedItemBase):
    content_object = ParentalKey("website.Story", related_name="tagged_items")


class Story(VectorIndexedMixin, Page):
    """A page that reads other objects in every usual way."""

    author = models.ForeignKey(Writer, on_delete=models.CASCADE, related_name="+")
    topics = ParentalManyToManyField(Topic)
    tags = ClusterTaggableManager(through=StoryTag, blank=True)
    body = StreamField(
        [
            ("heading", blocks.CharBlock()),
            ("paragraph", blocks.RichTextBlock()),
            ("image", ImageChooserBlock()),
            ("picture", ImageBlock()),
            ("page", blocks.PageChooserBlock()),
            ("document", DocumentChooserBlock()),
            ("topic", SnippetChooserBlock(Topic)),
            (
                "quote",
                blocks.StructBlock([("text", blocks.TextBlock()), ("image", ImageChooserBlock())]),
            ),
        ]
    )

    embedding_fields = [
        EmbeddingField("title", important=True),
        EmbeddingField("body"),
        EmbeddingField("author__publisher__name"),
    ]
    vector_filter_fields = [
        "locale",
        "tags",
        "topics",
        FilterField("author", source="author__name"),
    ]


class Entry(VectorIndexedMixin, index.Indexed, models.Model):
    """A text of a test collection, with its title."""

    key = models.CharField(max_length=64, unique=True)
    title = models.TextField()
    body = models.TextField()

    embedding_fields = [EmbeddingField("title", important=True), EmbeddingField("body")]
    search_fields = [index.SearchField("title"), index.SearchField("body")]
