from django import template
from django.utils.html import format_html, format_html_join

from vectordemo import excerpts

register = template.Library()
MARKUP = {True: "<mark>{}</mark>", False: "{}"}


@register.filter
def excerpt(text, query=""):
    """Return the part of `text` that fits the query best, with the query's words marked."""
    pieces = excerpts.marked(excerpts.excerpt(text, query), query)
    return format_html_join(
        "", "{}", ([format_html(MARKUP[found], piece)] for piece, found in pieces)
    )


@register.filter
def percent(score):
    """Return a score in [-1, 1] as the width of a bar."""
    return f"{max(0, min(100, round(float(score) * 100)))}%"
