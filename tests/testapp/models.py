"""Models of every shape that can be indexed."""

import uuid

from django.db import models
from django.utils import timezone
from modelcluster.contrib.taggit import ClusterTaggableManager
from modelcluster.fields import ParentalKey
from taggit.models import TaggedItemBase
from wagtail import blocks
from wagtail.fields import RichTextField, StreamField
from wagtail.models import DraftStateMixin, Page, RevisionMixin, TranslatableMixin

from wagtail_vector_index.admin.panels import SimilarPagesPanel
from wagtail_vector_index.models import EmbeddingField, FilterField, VectorIndexedMixin


class ArticleTag(TaggedItemBase):
    content_object = ParentalKey("testapp.ArticlePage", related_name="tagged_items")


class ArticlePage(VectorIndexedMixin, Page):
    """A page with rich text, a StreamField, tags and filters."""

    intro = RichTextField(blank=True)
    body = StreamField(
        [
            ("paragraph", blocks.RichTextBlock()),
            (
                "quote",
                blocks.StructBlock([("text", blocks.TextBlock()), ("by", blocks.CharBlock())]),
            ),
        ],
        blank=True,
    )
    topic = models.CharField(max_length=50, blank=True)
    rating = models.IntegerField(null=True, blank=True)
    published = models.DateTimeField(null=True, blank=True)
    tags = ClusterTaggableManager(through=ArticleTag, blank=True)

    embedding_fields = [
        EmbeddingField("title", important=True),
        EmbeddingField("intro"),
        EmbeddingField("body"),
    ]
    vector_filter_fields = ["locale", "topic", "rating", "published", "tags"]
    content_panels = [*Page.content_panels, SimilarPagesPanel()]


class EventPage(Page):
    """A page that is only found through an index of its own, which says what to embed."""

    place = models.CharField(max_length=100)


class Author(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self):
        return self.name


class Note(VectorIndexedMixin, models.Model):
    """A model that is no page."""

    text = models.TextField(blank=True)
    author = models.ForeignKey(Author, null=True, blank=True, on_delete=models.SET_NULL)
    stars = models.IntegerField(default=0)

    embedding_fields = [EmbeddingField("text")]
    vector_filter_fields = ["stars", FilterField("author", source="author__name")]

    def __str__(self):
        return self.text


class Comment(models.Model):
    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="comments")
    text = models.TextField()


class PinnedNote(Note):
    """A child by multi-table inheritance."""

    reason = models.CharField(max_length=100)

    embedding_fields = [EmbeddingField("text"), EmbeddingField("reason")]


class NoteProxy(Note):
    class Meta:
        proxy = True


class Product(VectorIndexedMixin, models.Model):
    """A primary key that is a UUID, and text from a method."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    label = models.CharField(max_length=100)

    embedding_fields = [EmbeddingField("get_description")]
    vector_index = None

    def get_description(self):
        return f"This product is a {self.label}."


class Country(VectorIndexedMixin, models.Model):
    """A primary key that is text."""

    code = models.CharField(max_length=600, primary_key=True)
    name = models.CharField(max_length=100)

    embedding_fields = [EmbeddingField("name")]


class Remote(VectorIndexedMixin, models.Model):
    """Lives in another database than the record."""

    text = models.TextField()

    embedding_fields = [EmbeddingField("text")]


class BegunManager(models.Manager):
    def get_queryset(self):
        return super().get_queryset().filter(begins__lte=timezone.now())


class Offer(VectorIndexedMixin, models.Model):
    """A model whose manager hides what is for later."""

    text = models.TextField()
    begins = models.DateTimeField()

    embedding_fields = [EmbeddingField("text")]

    objects = BegunManager()

    def __str__(self):
        return self.text


class Notice(VectorIndexedMixin, DraftStateMixin, RevisionMixin, TranslatableMixin, models.Model):
    """A snippet with drafts and translations."""

    text = models.TextField()

    embedding_fields = [EmbeddingField("text")]
    vector_filter_fields = ["locale"]

    class Meta(TranslatableMixin.Meta):
        pass
