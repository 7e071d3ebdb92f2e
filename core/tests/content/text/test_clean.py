"""clean_text: what databases and services refuse is gone, and nothing else that is read."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.content.text import clean_text

INVISIBLE = "\u00ad\u061c\u180e\u200b\u200e\u200f\u202a\u202e\u2060\u2064\u206f\ufeff\ufff9"
SPACES = "\u00a0\u2002\u2007\u202f\u3000\x85\u2028\u2029"
ACCENTS = "\u0301\u0308\u0323"
FLAG = "\U0001f3f4\U000e0067\U000e0062\U000e0077\U000e006c\U000e0073\U000e007f"
ANY_TEXT = st.text(st.characters()) | st.text(
    alphabet=f" \t\r\n\x00\ud800\udfff{SPACES}aeé{ACCENTS}ﬁﬃ\u034f\u200c\u200d{INVISIBLE}{FLAG}"
)


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
        ("dia\u00adbe\u00adtes", "diabetes"),
        ("\ufeffzero\u200bwidth\u2060joiner", "zerowidthjoiner"),
        ("\u202bright\u202c to \u2067left\u2069", "right to left"),
        (" \u200b\n\u00ad ", ""),
        ("\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",) * 2,
        ("☕️ 👨‍👩‍👧", "☕️ 👨‍👩‍👧"),
        (f"Wales {FLAG}", f"Wales {FLAG}"),
        ("hidden\U000e0068\U000e0069 text", "hidden text"),
        (
            "Fu\u0308hrerschein, ho\u0302pital, zaz\u0307o\u0301łc\u0301",
            "Führerschein, hôpital, zażółć",
        ),
        ("e\u200b\u0301t\u00ade\u0301", "été"),
        ("q\u0308 has no letter of its own", "q\u0308 has no letter of its own"),
        ("10\u00a0000\u202f€\u3000全角", "10 000 € 全角"),
        ("one\u2028two\x85three", "one\ntwo\nthree"),
        ("oﬃce ﬂoor ﬁle", "office floor file"),
        ("ca\u034fke shelf\u200cful fi\u200dle", "cake shelfful file"),
        ("\u0915\u094d\u200d\u0937",) * 2,
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


@given(st.text(st.characters(exclude_categories=["Cs", "Cf"], exclude_characters="\x00\u034f")))
def test_words_survive(text):
    assert compatible(clean_text(text)).split() == compatible(text).split()


def compatible(text):
    """A text without the differences between letters and their ligatures, or their accents."""
    return unicodedata.normalize("NFKC", text)
