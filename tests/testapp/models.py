"""Models of every shape that can be indexed."""

import uuid

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy
from modelcluster.contrib.taggit import ClusterTaggableManager
from modelcluster.fields import ParentalKey, ParentalManyToManyField
from modelcluster.models import ClusterableModel
from taggit.managers import TaggableManager
from taggit.models import TagBase, TaggedItemBase
from wagtail import blocks
from wagtail.fields import RichTextField, StreamField
from wagtail.images.blocks import ImageChooserBlock
from wagtail.models import (
    DraftStateMixin,
    Page,
    PageViewRestriction,
    RevisionMixin,
    TranslatableMixin,
)

from wagtail_vector_index.admin.panels import SimilarPagesPanel
from wagtail_vector_index.models import EmbeddingField, FilterField, VectorIndexedMixin

#: Django itself translates the labels.
DAYS = [("1", gettext_lazy("Monday")), ("2", gettext_lazy("Tuesday"))]


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


class LanguageTag(TagBase):
    """A tag with a field of the name of a locale's."""

    language_code = models.CharField(max_length=10, default="en")


class Secrecy(PageViewRestriction):
    """The same as Wagtail's, with methods of the site's own."""

    class Meta:
        proxy = True


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


class EditedNote(Note):
    """Another proxy of the same model, as an admin may save it."""

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


# Models without an index of their own. Tests make indexes of them, to read them in many ways.


class Remark(models.Model):
    """Says something about an object of any model."""

    text = models.CharField(max_length=100)
    content_type = models.ForeignKey(
        ContentType, null=True, on_delete=models.CASCADE, db_constraint=False
    )
    object_id = models.CharField(max_length=50, null=True)  # noqa: DJ001
    about = GenericForeignKey()


class Publication(ClusterableModel):
    """A parent by multi-table inheritance, which declares relations."""

    title = models.CharField(max_length=100)
    subjects = models.ManyToManyField(Author, related_name="covered", blank=True)
    remarks = GenericRelation(Remark)


class Magazine(Publication):
    """Reads other objects through relations of every kind."""

    owner = models.ForeignKey("auth.User", null=True, on_delete=models.SET_NULL)
    editors = models.ManyToManyField(Author, through="Editing", related_name="edited")
    shelves = ParentalManyToManyField("testapp.Shelf", related_name="magazines", blank=True)
    neighbours = models.ManyToManyField("self", blank=True)
    tags = TaggableManager()
    body = StreamField(
        [
            ("text", blocks.TextBlock()),
            ("image", ImageChooserBlock()),
            ("notes", blocks.TextBlock()),
        ],
        blank=True,
    )

    @property
    def crew(self):
        return [issue.star.name for issue in self.issues.order_by("pk") if issue.star]


class Shelf(models.Model):
    name = models.CharField(max_length=100)


class Editing(models.Model):
    """A row between, with a hidden name and a primary key of two columns."""

    pk = models.CompositePrimaryKey("magazine_id", "editor_id")
    magazine = models.ForeignKey(Magazine, on_delete=models.CASCADE, related_name="+")
    editor = models.ForeignKey(Author, on_delete=models.CASCADE)
    role = models.CharField(max_length=100, blank=True)


class Issue(models.Model):
    magazine = ParentalKey(Magazine, on_delete=models.CASCADE, related_name="issues")
    title = models.CharField(max_length=100)
    star = models.ForeignKey(Author, null=True, on_delete=models.SET_NULL, related_name="starred")


class Clip(models.Model):
    """Has fields with the names of Wagtail's, and other meanings."""

    text = models.CharField(max_length=100)
    live = models.URLField(blank=True)
    expire_at = models.DateField(default="2020-01-01")
    locked = models.CharField(max_length=100, blank=True)
    day = models.CharField(max_length=1, choices=DAYS, default="1")

    def get_text(self):
        return f"{self.text} {self.locked}"


class Seat(models.Model):
    """A primary key of two columns."""

    pk = models.CompositePrimaryKey("row", "letter")
    row = models.IntegerField()
    letter = models.CharField(max_length=5)
    view = models.CharField(max_length=100)


class Leaflet(TranslatableMixin, models.Model):
    """A choice whose label depends on the language."""

    day = models.CharField(max_length=1, choices=DAYS, default="1")

    class Meta(TranslatableMixin.Meta):
        pass


class Place(models.Model):
    """A parent by multi-table inheritance, whose primary key its children do not share."""

    name = models.CharField(max_length=100)


class Cafe(Place):
    """A child with a primary key of its own."""

    number = models.AutoField(primary_key=True)
    place = models.OneToOneField(
        Place, on_delete=models.CASCADE, parent_link=True, related_name="cafe"
    )
    tea = models.CharField(max_length=100)


class Gallery(models.Model):
    art = models.AutoField(primary_key=True)


class CafeInGallery(Gallery, Place):
    """Has two parents, and the primary key of the first."""
