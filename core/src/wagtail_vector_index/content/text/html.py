"""Extracts prose from HTML.

This module has its own tokenizer instead of ``html.parser``. Python's parser raises on some
markup (``<![x[``, ``&#`` before thousands of digits) and needs minutes for a hundred kilobytes
of ``<a <a <a``. Its results also differ between patch releases of Python, so the same content would
be embedded again. This tokenizer reads every character a bounded number of times.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from typing import TypeAlias

__all__ = ["html_to_text"]

# The distances between two pieces of text. The widest one requested between them counts.
_NONE, _SPACE, _CELL, _LINE, _PARAGRAPH = range(5)
_SEPARATORS = ("", " ", " | ", "\n", "\n\n")

_BLOCKS = """
    address article aside blockquote body canvas center dd details dialog dir div dl dt fieldset
    figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend main menu
    nav ol optgroup p pre search section summary table title ul
"""
_LINES = "br caption li option tbody tfoot thead tr"
# Inline elements that always separate the words before and after them.
_SPACES = "audio button iframe img input label object select svg textarea video"

_BREAKS: dict[str, int] = {
    **dict.fromkeys(_BLOCKS.split(), _PARAGRAPH),
    **dict.fromkeys(_LINES.split(), _LINE),
    **dict.fromkeys(_SPACES.split(), _SPACE),
}

_INLINE = """
    a abbr b bdi bdo cite code del dfn em i ins kbd mark q s small span strong sub sup time u
"""
# The distances of the elements whose tags do nothing else than separate words, or nothing at all.
# In rich text, nearly all elements are of this kind.
_NEVER_PLAIN = frozenset("br embed img ol pre table td th tr ul".split())
_PLAIN: dict[str, int] = {
    "": _NONE,  # no tag follows a text
    **{name: distance for name, distance in _BREAKS.items() if name not in _NEVER_PLAIN},
    **dict.fromkeys(_INLINE.split(), _NONE),
}

# Elements whose content is not shown to a reader.
_HIDDEN = {
    name: re.compile(rf"<(/?){name}(?=[\s/>])", re.IGNORECASE)
    for name in "script style template noscript iframe noembed noframes".split()
}
# Elements whose content is not markup. Only their end tag counts.
_RAW_TEXT = frozenset({"script", "style", "iframe", "noembed", "noframes"})

# The tags in what editors write. Where each "<" begins such a tag, all are found at once.
_PLAINLY_WRITTEN = re.compile(r"""<(/?)([a-z][a-z0-9]*)((?: [a-z-]+="[^"<>]*")*) ?/?>""")
# A quote opens a value only after "=", as in browsers. No two alternatives match the same text,
# so a failed match reads the text only once.
_TAG = re.compile(
    r"""<(/?)([a-zA-Z][^\s/>]*)(?=[\s/>])([^>=]*(?:=\s*(?:"[^"]*"|'[^']*'|(?![\s"']))[^>=]*)*)>"""
)
_SIMPLE_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)([^>]*)>")
_COMMENT_END = re.compile(r"--!?>")
_ATTRIBUTE = re.compile(r"""([^\s/>=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?""")
_LONG_NUMBER = re.compile(r"&#[0-9]{100,};?")


def html_to_text(markup: str) -> str:
    """Return the text that a reader of this HTML sees, for an embedding model.

    Blank lines separate paragraphs, headings, lists, tables and other blocks. Newlines separate
    list items, table rows and lines at ``<br>``; ``" | "`` separates table cells. The text
    includes the alternative texts of images, also in Wagtail's ``<embed embedtype="image">``. It
    leaves out scripts, styles, templates, comments and ``noscript``. White space is collapsed
    outside ``<pre>``.

    Never raises, whatever the markup. Takes time in proportion to its length.
    """
    if "<" not in markup and "&" not in markup:
        return " ".join(markup.split())
    reader = _Reader()
    for text, slash, name, attributes in _plainly_written(markup) or _tokens(markup):
        if text:
            reader.text(_unescape(text) if "&" in text else text)
        distance = _PLAIN.get(name)
        if distance is None:
            if slash:
                reader.close(name)
            else:
                reader.open(name, attributes)
        elif distance > reader.pending:
            reader.separate(distance)
    return reader.result()


class _Reader:
    """Joins the pieces of text, with the right distance between them."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.pending = _NONE
        self.held = False  # in a cell without text so far, whose first blocks add no distance
        self.pre_depth = 0
        self.list_depth = 0
        self.table_start = 0  # the number of parts before the current table
        self.row_start = 0  # the number of parts before the current row

    def result(self) -> str:
        return "".join(self.parts).strip()

    def text(self, run: str) -> None:
        if self.pre_depth:
            self.preformatted(run)
            return
        words = run.split()
        if not words or run[0].isspace():
            self.separate(_SPACE)
        if words:
            self.append(" ".join(words))
            if run[-1].isspace():
                self.pending = _SPACE

    def preformatted(self, run: str) -> None:
        run = run.replace("\r\n", "\n").replace("\r", "\n")
        if self.pending >= _LINE:
            # The newline after <pre> is not part of its content.
            run = run.removeprefix("\n")
        if run:
            self.append(run)

    def append(self, piece: str) -> None:
        if self.parts:
            self.parts.append(_SEPARATORS[self.pending])
        self.parts.append(piece)
        self.pending = _NONE
        self.held = False

    def separate(self, distance: int) -> None:
        if not self.held and distance > self.pending:
            self.pending = distance

    def open(self, name: str, attributes: str) -> None:
        if name in {"td", "th"}:
            self.open_cell()
        elif name == "tr":
            self.open_row()
        elif name in {"img", "embed"}:
            self.image(name, attributes)
        else:
            self.boundary(name)
            self.enter(name)

    def enter(self, name: str) -> None:
        if name == "pre":
            self.pre_depth += 1
        elif name in {"ul", "ol"}:
            self.list_depth += 1
        elif name == "table":
            self.table_start = self.row_start = len(self.parts)

    def close(self, name: str) -> None:
        if name == "pre" and self.pre_depth:
            self.pre_depth -= 1
            self.trim()
        elif name in {"ul", "ol"} and self.list_depth:
            self.list_depth -= 1
        elif name in {"table", "tr"}:
            self.held = False
        self.boundary(name)

    def boundary(self, name: str) -> None:
        if self.pre_depth and name == "br":
            self.append("\n")
            return
        distance = _BREAKS.get(name, _NONE)
        if name in {"ul", "ol"} and self.list_depth:
            distance = _LINE  # a list within a list item
        elif not distance and "-" in name:
            distance = _SPACE  # a custom element: only its style sheet shows if it is a block
        if distance:
            self.separate(distance)

    def open_row(self) -> None:
        self.held = False
        if len(self.parts) > self.table_start:
            # A new row replaces the distance that the last cell's paragraphs requested.
            self.pending = _LINE
            self.held = True
        self.row_start = len(self.parts)

    def open_cell(self) -> None:
        if len(self.parts) > self.row_start:
            self.pending = _CELL
        self.separate(_SPACE)
        self.held = True

    def image(self, name: str, attributes: str) -> None:
        values = _attributes(attributes)
        distance = _PARAGRAPH if name == "embed" else _SPACE
        self.separate(distance)
        words = values.get("alt", "").split()
        if words and values.get("embedtype", "image") == "image":
            self.append(" ".join(words))
            self.separate(distance)

    def trim(self) -> None:
        """Remove the white space at the end of preformatted text."""
        while self.parts:
            last = self.parts.pop().rstrip()
            if last:
                self.parts.append(last)
                return


#: A text, and the tag after it: a slash if it is an end tag, its name and its attributes. Either
#: may be empty.
_Token: TypeAlias = tuple[str, str, str, str]


def _plainly_written(markup: str) -> list[_Token] | None:
    """Return what `_tokens` would yield, but faster, or None if the markup is not so plain."""
    parts = _PLAINLY_WRITTEN.split(markup)
    texts, slashes, names, attributes = (parts[start::4] for start in range(4))
    if len(names) < markup.count("<") or not _HIDDEN.keys().isdisjoint(names):
        return None
    last = texts.pop()
    return [*zip(texts, slashes, names, attributes, strict=True), (last, "", "", "")]


def _tokens(markup: str) -> Iterator[_Token]:
    position = 0
    last_close = markup.rfind(">")
    pattern = _TAG
    while True:
        start = markup.find("<", position)
        if start < 0 or start > last_close:
            break  # no ">" follows, so no tag does
        if start > position:
            yield markup[position:start], "", "", ""
        tag = pattern.match(markup, start)
        if tag is None and pattern is _TAG and _SIMPLE_TAG.match(markup, start):
            # A quote is never closed. From here on quotes are ignored, so this match is tried only
            # once instead of once for each tag.
            pattern = _SIMPLE_TAG
            tag = pattern.match(markup, start)
        if tag is not None:
            position = tag.end()
            name = tag[2].lower()
            yield "", tag[1], name, tag[3]
            if name in _HIDDEN and not tag[1]:
                position = _end_of_hidden(markup, position, name)
        elif markup.startswith(("!", "?", "/"), start + 1):
            position = _end_of_comment(markup, start)
        else:
            position = start + 1
            yield "<", "", "", ""
    if position < len(markup):
        yield markup[position:], "", "", ""


def _end_of_hidden(markup: str, position: int, name: str) -> int:
    """Return the start of a hidden element's end tag, or the end of the markup."""
    depth = 1
    for tag in _HIDDEN[name].finditer(markup, position):
        if tag[1]:
            depth -= 1
        elif name not in _RAW_TEXT:
            depth += 1
        if not depth:
            return tag.start()
    return len(markup)


def _end_of_comment(markup: str, start: int) -> int:
    """Return the end of a comment, a declaration or an end tag without a name."""
    if not markup.startswith("<!--", start):
        return markup.find(">", start) + 1
    if markup.startswith((">", "->"), start + 4):
        return markup.find(">", start) + 1
    end = _COMMENT_END.search(markup, start + 4)
    return end.end() if end else len(markup)


def _attributes(text: str) -> dict[str, str]:
    """Return attributes by name. The first of two attributes with the same name counts."""
    values: dict[str, str] = {}
    for found in _ATTRIBUTE.finditer(text):
        value = found[2] or found[3] or found[4] or ""
        values.setdefault(found[1].lower(), _unescape(value))
    return values


def _unescape(text: str) -> str:
    # int() refuses very long numbers, and no character has such a number.
    return html.unescape(_LONG_NUMBER.sub("\N{REPLACEMENT CHARACTER}", text))
