"""The text that a reader sees for a Sphinx role."""

import re

EXPLICIT = re.compile(r"^(?P<title>.+?)\s*<(?P<target>[^<>]+)>$", re.DOTALL)
CALLABLE = {"func", "meth", "py:func", "py:meth"}


def role_parts(name, text):
    """Return the shown text and the target of the text between a role's backticks."""
    text = " ".join(text.replace("\x00", "").split())
    if match := EXPLICIT.match(text):
        return match["title"], match["target"]
    return shown_as(name, text), text


def shown_as(name, text):
    if name in {"rfc", "pep"}:
        number, _, anchor = text.partition("#")
        return f"{name.upper()} {number} {anchor.replace('-', ' ')}".strip()
    prefixes = {"ticket": "#", "bpo": "bpo-", "cve": "CVE-"}
    if name == "menuselection":
        return text.replace("-->", "‣")
    return prefixes.get(name, "") + text


def code_role_text(name, text):
    title, target = role_parts(name, text)
    if title != target:
        return title
    if name in {"file", "samp"}:
        return title.replace("{", "").replace("}", "")
    if title.startswith("~"):
        title = title.rpartition(".")[2]
    title = title.lstrip("!.")
    if name in CALLABLE and not title.endswith(")"):
        title += "()"
    return title
