"""The blocks that a page's body is made of."""

from django.db.models import TextChoices
from wagtail import blocks
from wagtail.contrib.typed_table_block.blocks import TypedTableBlock

FEATURES = ["bold", "italic", "code", "ol", "ul", "link"]
LEVELS = [("h2", "H2"), ("h3", "H3"), ("h4", "H4"), ("h5", "H5")]
LANGUAGES = {
    "": "",
    "text": "",
    "bash": "Shell",
    "css": "CSS",
    "doscon": "Console",
    "html": "HTML",
    "html+django": "Template",
    "html+jinja": "Template",
    "javascript": "JavaScript",
    "js": "JavaScript",
    "json": "JSON",
    "none": "",
    "po": "gettext",
    "pycon": "Python",
    "psql": "SQL",
    "pytb": "Traceback",
    "rst": "reStructuredText",
    "sql": "SQL",
    "toml": "TOML",
    "xml": "XML",
    "xml+django": "XML",
    "yaml": "YAML",
}


class AdmonitionKind(TextChoices):
    NOTE = "note", "Note"
    TIP = "tip", "Tip"
    HINT = "hint", "Hint"
    IMPORTANT = "important", "Important"
    ATTENTION = "attention", "Attention"
    CAUTION = "caution", "Caution"
    WARNING = "warning", "Warning"
    DANGER = "danger", "Danger"
    ERROR = "error", "Error"
    SEE_ALSO = "seealso", "See also"
    VERSION = "version", "Version"


class HeadingBlock(blocks.StructBlock):
    text = blocks.CharBlock()
    level = blocks.ChoiceBlock(choices=LEVELS, default="h2", search_index=False)

    class Meta:
        icon = "title"
        template = "vectordemo/blocks/heading.html"
        label_format = "{text}"


class CodeValue(blocks.StructValue):
    @property
    def label(self):
        """The label of the code for readers: its file, or else its language."""
        language = self["language"] or ""
        return self["caption"] or LANGUAGES.get(language, language.capitalize())


class CodeBlock(blocks.StructBlock):
    caption = blocks.CharBlock(required=False)
    # The language is only for the highlighter, so it is not searched.
    language = blocks.CharBlock(required=False, search_index=False)
    code = blocks.TextBlock()

    class Meta:
        icon = "code"
        template = "vectordemo/blocks/code.html"
        value_class = CodeValue
        label_format = "{caption}"


def table_block():
    return TypedTableBlock(
        [("text", blocks.RichTextBlock(features=FEATURES))],
        template="vectordemo/blocks/table.html",
        icon="table",
    )


class ContentBlock(blocks.StreamBlock):
    """The blocks that may stand anywhere in a page, also inside an admonition."""

    text = blocks.RichTextBlock(features=FEATURES, icon="pilcrow")
    signature = blocks.TextBlock(icon="cog", rows=1, template="vectordemo/blocks/signature.html")
    code = CodeBlock()
    table = table_block()


class AdmonitionBlock(blocks.StructBlock):
    kind = blocks.ChoiceBlock(choices=AdmonitionKind.choices, default="note", search_index=False)
    title = blocks.CharBlock(required=False)
    body = ContentBlock(required=False)

    class Meta:
        icon = "info-circle"
        template = "vectordemo/blocks/admonition.html"
        label_format = "{title}"


class BodyBlock(ContentBlock):
    heading = HeadingBlock()
    admonition = AdmonitionBlock()
