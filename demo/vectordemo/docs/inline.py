"""Turns inline markup, inside a paragraph, an item or a cell, into HTML."""

from html import escape

from docutils import nodes

TAGS = {nodes.strong: "b", nodes.emphasis: "i", nodes.title_reference: "i"}
HIDDEN = (
    nodes.comment,
    nodes.footnote_reference,
    nodes.substitution_definition,
    nodes.system_message,
    nodes.target,
)


def inline_html(node, names):
    """Return the children of `node` as HTML; `names` has the texts of cross references."""
    return "".join(_one(child, names) for child in node.children).strip()


def inline_text(node, names):
    """Return the children of `node` as plain text, for headings and titles."""
    parts = []
    for child in node.children:
        if isinstance(child, nodes.Text):
            parts.append(_typeset(child))
        elif crossref := _crossref(child, names):
            parts.append(crossref)
        elif not isinstance(child, HIDDEN):
            parts.append(inline_text(child, names))
    return " ".join("".join(parts).split())


def _one(node, names):
    if isinstance(node, nodes.Text):
        return escape(_typeset(node), quote=False)
    if isinstance(node, nodes.target):
        return inline_html(node, names)
    if isinstance(node, HIDDEN):
        return ""
    if isinstance(node, nodes.literal):
        return f"<code>{escape(' '.join(node.astext().split()), quote=False)}</code>"
    if isinstance(node, nodes.image):
        return escape(node.get("alt", ""), quote=False)
    if crossref := _crossref(node, names):
        return escape(crossref, quote=False)
    return _wrapped(node, names)


def _typeset(node):
    return node.astext().replace("\n", " ").replace(" -- ", " – ")


def _wrapped(node, names):
    inner = "".join(_one(child, names) for child in node.children)
    if isinstance(node, nodes.reference) and "refuri" in node:
        return f'<a href="{escape(node["refuri"])}">{inner}</a>'
    if tag := TAGS.get(type(node)):
        return f"<{tag}>{inner}</{tag}>"
    return inner


def _crossref(node, names):
    if isinstance(node, nodes.inline) and "crossref" in node:
        return names.lookup(node["crossref"], node["target"])
    return ""
