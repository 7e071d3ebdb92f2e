"""The contract of a vector backend, as the suite tests it and as the documentation tells it."""

from __future__ import annotations

import re
import tomllib

from wagtail_vector_index.testing.capabilities import CAPABILITIES
from wagtail_vector_index.testing.rules import RULES, contract_url

from .code_blocks import ROOT

CONTRACT = ROOT / "docs" / "contract.md"
GUIDE = ROOT / "docs" / "testing-a-backend.md"

PARAGRAPH = re.compile(r"^### (?P<heading>.+)\n\n(?P<text>(?:.+\n)+)", re.MULTILINE)


def anchor(heading: str) -> str:
    """What a heading can be linked to by, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def paragraphs() -> list[tuple[str, str]]:
    """The anchor and the text of each rule, in the order of the document."""
    text = CONTRACT.read_text(encoding="utf-8")
    return [(anchor(m["heading"]), " ".join(m["text"].split())) for m in PARAGRAPH.finditer(text)]


def test_each_rule_has_its_paragraph_and_the_reverse() -> None:
    assert [name for name, _ in paragraphs()] == list(RULES)


def test_each_paragraph_begins_with_its_rule() -> None:
    assert [
        (name, text[:200]) for name, text in paragraphs() if not text.startswith(RULES[name])
    ] == []


def test_the_links_of_failures_lead_to_these_paragraphs() -> None:
    urls = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]["urls"]
    assert contract_url("limits") == f"{urls['Documentation']}/contract.md#limits"
    assert urls["Documentation"].endswith(f"/{CONTRACT.parent.relative_to(ROOT)}")


def test_what_opens_tests_is_listed() -> None:
    table = GUIDE.read_text(encoding="utf-8").partition("## What opens and closes tests")[2]
    for capability in CAPABILITIES:
        assert f"| {capability.name} | {capability.declared} | {capability.closed} |" in table
