"""Answers with their sources."""

from __future__ import annotations

import pytest

from tests.testapp.models import ArticlePage
from wagtail_vector_index.handlers import chat_backends

pytestmark = pytest.mark.django_db

ARTICLES = ArticlePage.vector_index

@pytest.fixture
def chat():
    return chat_backends["default"]

def test_an_answer_has_text_and_sources(article, bring_up_to_date, chat):
    page = article("Bread", "<p>Mix flour and water.</p>")
    bring_up_to_date("ArticlePage")
    answer = ARTICLES.query("flour water")
    (source,) = answer.sources
    assert source.object == page
    print(answer.sources)
    for m in chat.asked: print(m)
    assert answer.text == "Mix flour and water [1]. "
    for m in chat.asked[0]: print(m.content)
    assert 0
