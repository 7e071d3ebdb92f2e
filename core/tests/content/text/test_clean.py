"""clean_text: what databases and services refuse is gone, and nothing else that is read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.content.text import clean_text

ANY_TEXT = st.text(st.characters()) | st.text(alphabet=" \t\r\n\x00\ud800\udfff\x85\u2028ab")


@pytest.mark.parametrize(
    ("dirty", "clean"),
    [
        ("a\x00b", "ab"),
        ("a\ud800b \udfffc", "ab c"),
        ("one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("one\n\n\n\n\ntwo", "one\n\ntwo"),
        ("one  \n\t \ntwo\t", "one\n\ntwo"),
        ("one\r\x00\ntwo", "one\ntwo"),
        ("  padded \n", "padded"),
        ("    indented\n    lines", "indented\n    lines"),
        ("emoji 👩‍🚀 stay", "emoji 👩‍🚀 stay"),
        ("", ""),
    ],
)
def test_cleans(dirty, clean):
    assert clean_text(dirty) == clean


def test_long_white_space_is_read_once():
    space = " \t" * 500_000
    assert clean_text(f"a{space}b{space}\n{space}c{space}") == f"a{space}b\n{space}c"


@given(ANY_TEXT)
def test_cleaning_twice_changes_nothing_more(text):
    once = clean_text(text)
    assert clean_text(once) == once


@given(ANY_TEXT)
def test_result_can_be_stored(text):
    clean = clean_text(text)
    clean.encode()
    assert "\x00" not in clean
    assert "\r" not in clean
    assert "\n\n\n" not in clean
    assert clean == clean.strip()


@given(ANY_TEXT)
def test_words_survive(text):
    kept = "".join(c for c in text if c != "\x00" and not "\ud800" <= c <= "\udfff")
    assert clean_text(text).split() == kept.split()
