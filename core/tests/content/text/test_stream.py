"""stream_to_text: every block of Wagtail's, in document order."""

import datetime as dt
from dataclasses import dataclass
from decimal import Decimal
from importlib import import_module

import pytest
from django.utils.translation import gettext_lazy
from wagtail import blocks
from wagtail.contrib.table_block.blocks import TableBlock
from wagtail.contrib.typed_table_block.blocks import TypedTableBlock
from wagtail.documents.blocks import DocumentChooserBlock
from wagtail.embeds.blocks import EmbedBlock
from wagtail.images.blocks import ImageBlock, ImageChooserBlock
from wagtail.images.models import Image
from wagtail.rich_text import RichText

from wagtail_vector_index.content.text import stream_to_text
from wagtail_vector_index.content.text.stream import READERS

TABLE = {
    "table_caption": "Prices",
    "first_row_is_table_header": True,
    "data": [["What", "Price"], ["<b>Milk</b><br>fresh", None], ["", "1.20"], [None, ""]],
}


class CardBlock(blocks.StructBlock):
    title = blocks.CharBlock()
    text = blocks.RichTextBlock()
    link = blocks.URLBlock(required=False)


def stream(*children, **kinds):
    """The value of a stream as it comes out of the database: from raw, JSON-like data."""
    block = blocks.StreamBlock(list(kinds.items()))
    return block.to_python([{"type": kind, "value": value, "id": None} for kind, value in children])


def text_of(block, raw):
    return stream_to_text(stream(("it", raw), it=block))


class TestDefectsOfSearchableContent:
    """What Wagtail's get_searchable_content loses or garbles, each done better."""

    def test_rich_text_keeps_its_paragraphs(self):
        assert text_of(blocks.RichTextBlock(), "<p>One<br/>two</p><p>Three</p>") == (
            "One\ntwo\n\nThree"
        )

    def test_rich_text_keeps_image_alternatives(self):
        markup = '<p>One</p><embed alt="A kite" embedtype="image" format="left" id="1"/>'
        assert text_of(blocks.RichTextBlock(), markup) == "One\n\nA kite"

    def test_raw_html_is_read(self):
        markup = "<div>One</div><div>Two</div><script>three()</script>"
        assert text_of(blocks.RawHTMLBlock(), markup) == "One\n\nTwo"

    def test_tables_give_text_and_caption(self):
        block = TableBlock(table_options={"renderer": "html"})
        assert text_of(block, TABLE) == "Prices\nWhat | Price\nMilk fresh\n1.20"

    def test_angle_brackets_in_a_table_of_plain_text_are_text(self):
        assert text_of(TableBlock(), {"data": [["1 <2 and 3> 2", "b"]]}) == "1 <2 and 3> 2 | b"

    @pytest.mark.parametrize(
        ("block", "raw", "text"),
        [
            (blocks.DateBlock(), "2026-11-03", "2026-11-03"),
            (blocks.TimeBlock(), "17:30:00", "17:30:00"),
            (blocks.DateTimeBlock(), "2026-11-03T17:30:00Z", "2026-11-03 17:30:00+00:00"),
            (blocks.IntegerBlock(), 0, "0"),
            (blocks.FloatBlock(), 1.5, "1.5"),
            (blocks.DecimalBlock(), "1.50", "1.50"),
            (blocks.RegexBlock(regex=r"\d+"), "0815", "0815"),
        ],
        ids=lambda value: type(value).__name__ if isinstance(value, blocks.Block) else None,
    )
    def test_dates_and_numbers_are_read(self, block, raw, text):
        assert text_of(block, raw) == text

    def test_multiple_choice_gives_all_labels(self):
        block = blocks.MultipleChoiceBlock(choices=[("r", "Red"), ("Warm", [("y", "Yellow")])])
        assert text_of(block, ["y", "r"]) == "Yellow, Red"

    @pytest.mark.django_db
    def test_search_index_false_is_honoured(self):
        hidden = {
            "char": blocks.CharBlock(search_index=False),
            "rich": blocks.RichTextBlock(search_index=False),
            "struct": CardBlock(search_index=False),
            "list": blocks.ListBlock(blocks.CharBlock(), search_index=False),
            "date": blocks.DateBlock(search_index=False),
            "image": ImageBlock(search_index=False),
        }
        card = {"title": "t", "text": "x", "link": ""}
        values = {"char": "c", "rich": "r", "struct": card, "list": ["l"], "date": "2026-01-01"}
        assert stream_to_text(stream(*values.items(), ("image", None), **hidden)) == ""

    def test_search_index_false_further_up_hides_all_below(self):
        inner = blocks.StreamBlock([("char", blocks.CharBlock())], search_index=False)
        raw = [{"type": "char", "value": "secret", "id": "1"}]
        assert text_of(blocks.ListBlock(inner), [raw]) == ""


class TestOrderAndNesting:
    def test_blocks_in_their_order_with_blank_lines_between(self):
        value = stream(
            ("text", "First"),
            ("card", {"title": "Second", "text": "<p>Third</p>", "link": "https://x.org"}),
            ("text", "Fourth"),
            ("text", "   "),
            ("quote", "Fifth"),
            text=blocks.TextBlock(),
            card=CardBlock(),
            quote=blocks.BlockQuoteBlock(),
        )
        assert stream_to_text(value) == "First\n\nSecond\n\nThird\n\nFourth\n\nFifth"

    def test_deep_nesting(self):
        section = blocks.StructBlock(
            [
                ("title", blocks.CharBlock()),
                ("cards", blocks.ListBlock(CardBlock())),
                ("more", blocks.StreamBlock([("text", blocks.TextBlock()), ("card", CardBlock())])),
            ]
        )
        cards = [{"title": f"Card {i}", "text": f"<p>Text {i}</p>"} for i in (1, 2)]
        more = [
            {"type": "text", "value": "Text 3", "id": "a"},
            {"type": "card", "value": {"title": "Card 4", "text": ""}, "id": "b"},
        ]
        assert text_of(section, {"title": "Title", "cards": cards, "more": more}) == (
            "Title\n\nCard 1\n\nText 1\n\nCard 2\n\nText 2\n\nText 3\n\nCard 4"
        )

    def test_value_made_in_python(self):
        block = blocks.StreamBlock([("text", blocks.TextBlock()), ("card", CardBlock())])
        card = {"title": "Two", "text": RichText("<p>Three</p>")}
        value = blocks.StreamValue(block, [("text", "One"), ("card", card)])
        assert stream_to_text(value) == "One\n\nTwo\n\nThree"

    def test_values_of_single_blocks(self):
        card = CardBlock().to_python({"title": "One", "text": "<p>Two</p>"})
        items = blocks.ListBlock(blocks.CharBlock()).to_python(["One", "Two"])
        assert stream_to_text(card) == stream_to_text(items) == "One\n\nTwo"
        assert stream_to_text("1 <2", blocks.CharBlock()) == "1 <2"

    def test_value_that_does_not_know_its_block(self):
        with pytest.raises(TypeError, match="A str does not know its block"):
            stream_to_text("text")

    def test_empty_stream(self):
        assert stream_to_text(stream(it=blocks.CharBlock())) == ""

    def test_struct_whose_stored_data_lack_a_child(self):
        assert text_of(CardBlock(), {"title": "One"}) == "One"


class TestChoices:
    def test_label_rather_than_key(self):
        block = blocks.ChoiceBlock(
            choices=[("r", gettext_lazy("Red")), ("Warm", [("y", "Yellow")])]
        )
        assert text_of(block, "r") == "Red"
        assert text_of(block, "y") == "Yellow"

    def test_number_as_key_and_callable_choices(self):
        assert text_of(blocks.ChoiceBlock(choices=lambda: [(1, "One")]), 1) == "One"

    @pytest.mark.parametrize("raw", ["", None, "gone"])
    def test_nothing_chosen(self, raw):
        block = blocks.ChoiceBlock(choices=[("r", "Red")], required=False)
        assert text_of(block, raw) == ""


class TestTables:
    def test_typed_table(self):
        block = TypedTableBlock(
            [
                ("text", blocks.CharBlock()),
                ("rich", blocks.RichTextBlock()),
                ("price", blocks.DecimalBlock()),
            ]
        )
        kinds = [("text", "What"), ("rich", ""), ("price", "Price")]
        raw = {
            "caption": "Prices",
            "columns": [{"type": kind, "heading": heading} for kind, heading in kinds],
            "rows": [
                {"values": ["Milk", "<p>fresh</p><p>cold</p>", Decimal("1.20")]},
                {"values": ["Bread", "", None]},
            ],
        }
        assert text_of(block, raw) == "Prices\nWhat | Price\nMilk | fresh cold | 1.20\nBread"

    def test_empty_tables(self):
        assert text_of(TypedTableBlock([("text", blocks.CharBlock())]), None) == ""
        assert text_of(TableBlock(), None) == ""
        assert text_of(TableBlock(), {"data": None}) == ""


class TestImages:
    @staticmethod
    def image_block_text(*, alt_text, decorative, title="A title"):
        image = Image(title=title, collection_id=1)
        image.contextual_alt_text = alt_text
        image.decorative = decorative
        return stream_to_text(image, ImageBlock())

    def test_alternative_text(self):
        assert self.image_block_text(alt_text="A red kite", decorative=False) == "A red kite"

    def test_decorative_image(self):
        assert self.image_block_text(alt_text="", decorative=True) == ""

    def test_chosen_image_gives_what_is_rendered_as_its_alternative(self):
        image = Image(title="A kite", collection_id=1)
        assert stream_to_text(image, ImageChooserBlock()) == "A kite"
        image.description = "A kite at sea"
        assert stream_to_text(image, ImageChooserBlock()) == "A kite at sea"

    @pytest.mark.django_db
    def test_image_that_was_deleted(self):
        raw = {"image": 4711, "alt_text": "A kite", "decorative": False}
        assert text_of(ImageBlock(), raw) == text_of(ImageChooserBlock(), 4711) == ""


@pytest.mark.parametrize(
    ("block", "value"),
    [
        (blocks.URLBlock(), "https://example.com/"),
        (blocks.EmailBlock(), "someone@example.com"),
        (blocks.BooleanBlock(), True),
        (blocks.StaticBlock(), None),
        (EmbedBlock(), "https://example.com/video"),
        (blocks.PageChooserBlock(), "a page"),
        (DocumentChooserBlock(), "a document"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, blocks.Block) else "",
)
def test_blocks_that_are_left_out(block, value):
    assert stream_to_text(value, block) == ""


class TestCustomBlocks:
    def test_subclass_is_read_as_what_it_extends(self):
        class LeadBlock(blocks.RichTextBlock):
            pass

        class ColourBlock(blocks.ChoiceBlock):
            choices = [("r", "Red")]

        class HeroBlock(CardBlock):
            class Meta:
                template = "hero.html"

        assert text_of(LeadBlock(), "<p>One</p><p>Two</p>") == "One\n\nTwo"
        assert text_of(ColourBlock(), "r") == "Red"
        assert text_of(HeroBlock(), {"title": "One", "text": "Two"}) == "One\n\nTwo"

    def test_own_searchable_content_is_trusted(self):
        class HeroBlock(CardBlock):
            def get_searchable_content(self, value):
                return [f"Hero: {value['title']}", "", gettext_lazy("Hello")]

        class NarrowHeroBlock(HeroBlock):
            pass

        raw = {"title": "One", "text": "Two"}
        assert text_of(HeroBlock(), raw) == text_of(NarrowHeroBlock(), raw) == "Hero: One\n\nHello"

    def test_searchable_content_of_a_mixin_is_trusted(self):
        class Quiet:
            def get_searchable_content(self, value):
                return []

        class QuietBlock(Quiet, blocks.CharBlock):
            pass

        assert text_of(QuietBlock(), "One") == ""

    def test_searchable_content_that_is_one_string(self):
        class OddBlock(blocks.CharBlock):
            def get_searchable_content(self, value):
                return value.upper()

        assert text_of(OddBlock(), "one") == "ONE"

    def test_new_kind_of_field_block_without_searchable_content(self):
        class PointBlock(blocks.FieldBlock):
            pass

        assert text_of(PointBlock(), {"x": 1}) == ""

    def test_struct_with_a_value_of_its_own(self):
        @dataclass
        class Event:
            title: str
            day: dt.date

        class EventBlock(blocks.StructBlock):
            title = blocks.CharBlock()
            day = blocks.DateBlock()
            place = blocks.CharBlock()

        event = Event(title="Fair", day=dt.date(2026, 11, 3))
        assert stream_to_text(event, EventBlock()) == "Fair\n\n2026-11-03"


@pytest.mark.parametrize("path", READERS)
def test_every_block_with_a_reader_exists(path):
    module, _, name = path.rpartition(".")
    block_class = getattr(import_module(module), name)
    assert (block_class.__module__, block_class.__qualname__) == (module, name)
