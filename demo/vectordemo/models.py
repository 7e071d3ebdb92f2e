"""The pages of the site: a home page, sections, and the documents themselves."""

from dataclasses import dataclass

from django.db import models
from django.db.models import TextChoices
from django.utils.functional import cached_property
from django.utils.text import slugify
from wagtail.admin.panels import FieldPanel
from wagtail.fields import RichTextField, StreamField
from wagtail.models import Page
from wagtail.search import index

from vectordemo.blocks import FEATURES, BodyBlock
from vectordemo.questions import QUESTIONS
from wagtail_vector_index.admin.panels import SimilarPagesPanel
from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin


class Section(TextChoices):
    """The top folders of the documentation."""

    INTRO = "intro", "Getting started"
    TOPICS = "topics", "Using Django"
    HOWTO = "howto", "How-to guides"
    REFERENCE = "ref", "Reference"
    FAQ = "faq", "FAQ"


class Listing:
    """Adds to a page the lists of other pages that templates need."""

    @property
    def trail(self):
        """The pages from the home page down to the parent."""
        return self.get_ancestors().filter(depth__gt=1)

    @property
    def listed_children(self):
        return self.get_children().live()


class ImportedPage(Listing, Page):
    """Adds the fields by which the importer recognizes pages that have not changed."""

    source_path = models.CharField(max_length=255, blank=True, editable=False)
    digest = models.CharField(max_length=64, blank=True, editable=False)

    class Meta:
        abstract = True

    @property
    def top_section(self):
        """The section of the navigation that the page is in."""
        return self.source_path.partition("/")[0]


class HomePage(Listing, Page):
    intro = models.TextField(blank=True)

    content_panels = [*Page.content_panels, FieldPanel("intro")]
    max_count = 1
    parent_page_types = ["wagtailcore.Page"]
    subpage_types = ["vectordemo.SectionPage"]

    def get_context(self, request, *args, **kwargs):
        return {**super().get_context(request, *args, **kwargs), "questions": QUESTIONS}

    @property
    def section_pages(self):
        for child in self.listed_children:
            child.page_count = DocPage.objects.live().descendant_of(child).count()
            yield child


class SectionPage(ImportedPage):
    """A folder of the documentation, with a short text and a list of its pages."""

    intro = RichTextField(blank=True, features=FEATURES)

    content_panels = [*Page.content_panels, FieldPanel("intro")]
    parent_page_types = ["vectordemo.HomePage", "vectordemo.SectionPage"]
    subpage_types = ["vectordemo.SectionPage", "vectordemo.DocPage"]


@dataclass(frozen=True, kw_only=True)
class Anchored:
    """A block of a page and, if the block is a heading, the anchor for links to it."""

    block: object
    anchor: str = ""

    @property
    def heading(self):
        return self.block.value if self.anchor else None


class DocPage(VectorIndexedMixin, ImportedPage):
    """A document of the documentation. These pages are searched by meaning."""

    section = models.CharField(max_length=20, choices=Section.choices)
    body = StreamField(BodyBlock(), blank=True)

    embedding_fields = [EmbeddingField("title", important=True), EmbeddingField("body")]
    vector_filter_fields = ["section", "locale"]
    # The index in vector_indexes.py contains these pages, so the model needs no index of its own.
    vector_index = None

    search_fields = [
        *Page.search_fields,
        index.SearchField("body"),
        index.FilterField("section"),
    ]
    content_panels = [*Page.content_panels, FieldPanel("section"), FieldPanel("body")]
    promote_panels = [*Page.promote_panels, SimilarPagesPanel()]
    parent_page_types = ["vectordemo.SectionPage", "vectordemo.DocPage"]
    subpage_types = ["vectordemo.DocPage"]

    @cached_property
    def anchored_body(self):
        """The body's blocks, with a unique anchor for each heading."""
        seen = {}
        return [self._anchored(block, seen) for block in self.body]

    @staticmethod
    def _anchored(block, seen):
        if block.block_type != "heading":
            return Anchored(block=block)
        name = slugify(block.value["text"]) or "part"
        seen[name] = seen.get(name, 0) + 1
        suffix = f"-{seen[name]}" if seen[name] > 1 else ""
        return Anchored(block=block, anchor=f"{name}{suffix}")

    @property
    def outline(self):
        """The upper two levels of headings, for the table of contents."""
        headings = (part for part in self.anchored_body if part.anchor)
        return [part for part in headings if part.heading["level"] in {"h2", "h3"}]
