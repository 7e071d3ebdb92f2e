"""Extracts text from fields, markup and StreamField, and splits it into chunks."""

from .clean import clean_text
from .html import html_to_text
from .splitting import TextSplitter, split_text
from .stream import convert_streams, stream_to_text
from .values import FieldText, field_to_text, read_field, value_to_text

__all__ = [
    "FieldText",
    "TextSplitter",
    "clean_text",
    "convert_streams",
    "field_to_text",
    "html_to_text",
    "read_field",
    "split_text",
    "stream_to_text",
    "value_to_text",
]
