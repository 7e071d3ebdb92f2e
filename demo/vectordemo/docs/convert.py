"""Converts reStructuredText to the blocks of a page's body.

A body is a list of `{"type": …, "value": …}`, as StreamField stores it:
`heading`, `text` (rich text), `signature`, `code`, `table`, `admonition`.
"""

from dataclasses import dataclass
from html import escape

from docutils import nodes
from docutils.core import publish_doctree

from vectordemo.docs import directives
from vectordemo.docs.inline import HIDDEN, inline_html, inline_text
from vectordemo.docs.names import Names

SETTINGS = {
    "_disable_config": True,
    "doctitle_xform": False,
    "file_insertion_enabled": False,
    "halt_level": 5,
    "raw_enabled": False,
    "report_level": 5,
    "smart_quotes": False,
    "syntax_highlight": "none",
}
LISTS = (nodes.bullet_list, nodes.enumerated_list)
DEEPEST_HEADING = 5

# The substitutions that the documentation's `conf.py` and Sphinx supply.
EPILOG = """

.. |version| replace:: VERSION
.. |today| replace:: today
.. |django-users| replace:: django-users
.. |django-developers| replace:: django-developers
.. |django-announce| replace:: django-announce
.. |django-updates| replace:: django-updates
"""


@dataclass(frozen=True, kw_only=True)
class Document:
    path: str
    title: str
    body: list
    # The documents below this one, in their order, as its `toctree` names them.
    entries: list


def convert(source, path="document", names=None, version=""):
    """Convert one document, and return it with its title and its body."""
    directives.register()
    source += EPILOG.replace("VERSION", version)
    tree = publish_doctree(source, source_path=path, settings_overrides=SETTINGS)
    body = Body((names or Names({path: source})).at(path))
    title = body.document(tree)
    entries = [entry for node in tree.findall(nodes.comment) for entry in node.get("entries", [])]
    return Document(path=path, title=title, body=body.blocks, entries=entries)


class Body:
    """Collects blocks while it walks over docutils' nodes."""

    def __init__(self, names):
        self.names = names
        self.blocks = []

    # Collecting

    def add(self, kind, value):
        self.blocks.append({"type": kind, "value": value})

    def html(self, fragment):
        """Add a fragment of text, to the last block if that is text as well."""
        if self.blocks and self.blocks[-1]["type"] == "text":
            self.blocks[-1]["value"] += fragment
        else:
            self.add("text", fragment)

    # Walking

    def document(self, tree):
        """Add everything below the title, and return the title."""
        sections = [node for node in tree.children if isinstance(node, nodes.section)]
        title = inline_text(sections[0][0], self.names) if sections else ""
        for node in tree.children:
            if sections and node is sections[0]:
                self.nodes(node.children[1:], level=2)
            else:
                self.node(node, level=2)
        return title

    def nodes(self, children, level):
        for child in children:
            self.node(child, level)

    def node(self, node, level):
        if isinstance(node, HIDDEN):
            return
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method:
            method(node, level)
        else:
            self.nodes(getattr(node, "children", ()), level)

    # One method for each kind of node

    def on_section(self, node, level):
        text = inline_text(node[0], self.names)
        self.add("heading", {"level": f"h{min(level, DEEPEST_HEADING)}", "text": text})
        self.nodes(node.children[1:], level + 1)

    def on_paragraph(self, node, level):
        if text := inline_html(node, self.names):
            self.html(f"<p>{text}</p>")

    def on_rubric(self, node, level):
        self.html(f"<p><b>{inline_html(node, self.names)}</b></p>")

    on_term = on_rubric

    def on_line_block(self, node, level):
        lines = [inline_html(line, self.names) for line in node.findall(nodes.line)]
        self.html(f"<p>{'<br/>'.join(lines)}</p>")

    def on_field(self, node, level):
        name = inline_html(node[0], self.names)
        if text := inline_html(node[1][0], self.names) if node[1].children else "":
            self.html(f"<p><b>{name}</b>: {text}</p>")

    def on_docinfo(self, node, level):
        pass

    on_meta = on_image = on_docinfo

    def on_literal_block(self, node, level):
        if node.get("kind") == "signature":
            self.add("signature", node.astext())
            return
        code = {
            "language": node.get("language", ""),
            "caption": node.get("caption", ""),
            "code": node.astext(),
        }
        if code["code"].strip():
            self.add("code", code)

    on_doctest_block = on_literal_block

    def on_container(self, node, level):
        inner = Body(self.names)
        inner.nodes(node.children, level)
        if node.get("kind") == "admonition":
            kind, title = node["admonition"], node["title"]
            self.add("admonition", {"kind": kind, "title": title, "body": inner.blocks})
        else:
            self.blocks += inner.blocks

    def on_bullet_list(self, node, level):
        """Add a list. It is split at code, which rich text cannot contain."""
        items, first = [], node.get("start", 1)
        for item in node.children:
            lead, rest = _split(item.children)
            items.append(self.item(lead))
            if rest:
                self.list(node, items, first)
                self.nodes(rest, level)
                items, first = [], first + len(items)
        self.list(node, items, first)

    on_enumerated_list = on_bullet_list

    def on_table(self, node, level):
        head = [
            [inline_text(entry, self.names) for entry in row]
            for thead in node.findall(nodes.thead)
            for row in thead
        ]
        rows = [
            [self.cell(entry) for entry in row]
            for tbody in node.findall(nodes.tbody)
            for row in tbody
        ]
        self.add("table", _table(head, rows))

    # Parts of blocks

    def list(self, node, items, first):
        items = "".join(f"<li>{item}</li>" for item in items if item)
        if not items:
            return
        if isinstance(node, nodes.bullet_list):
            self.html(f"<ul>{items}</ul>")
            return
        start = f' start="{first}"' if first > 1 else ""
        self.html(f"<ol{start}>{items}</ol>")

    def item(self, children):
        """Return the content of a list item or a cell as HTML."""
        html = ""
        for child in children:
            if isinstance(child, LISTS):
                tag = "ul" if isinstance(child, nodes.bullet_list) else "ol"
                items = (f"<li>{self.item(item.children)}</li>" for item in child)
                html += f"<{tag}>{''.join(items)}</{tag}>"
            elif not isinstance(child, HIDDEN):
                html += "<br/>" if html and not html.endswith("l>") else ""
                html += inline_html(child, self.names)
        return html

    def cell(self, entry):
        body = Body(self.names)
        body.nodes(entry.children, level=DEEPEST_HEADING)
        return "".join(map(_cell_html, body.blocks))


def _split(children):
    """Split children into those that rich text can contain, and the rest from the first other."""
    for position, child in enumerate(children):
        if not _is_rich_text(child):
            return children[:position], children[position:]
    return children, []


def _is_rich_text(node):
    if isinstance(node, LISTS):
        return all(_is_rich_text(child) for item in node for child in item)
    return isinstance(node, (nodes.paragraph, *HIDDEN))


def _cell_html(block):
    if block["type"] == "code":
        return f"<p><code>{escape(block['value']['code'], quote=False)}</code></p>"
    return block["value"] if block["type"] == "text" else ""


def _table(head, rows):
    """Return a table in the form of Wagtail's TypedTableBlock, with short rows filled up."""
    head = head[0] if head else []
    width = max(map(len, [head, *rows]))
    columns = [
        {"type": "text", "heading": heading} for heading in [*head, *[""] * (width - len(head))]
    ]
    filled = [{"values": [*row, *[""] * (width - len(row))]} for row in rows]
    return {"columns": columns, "rows": filled, "caption": ""}
