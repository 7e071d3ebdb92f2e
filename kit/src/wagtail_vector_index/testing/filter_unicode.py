"""Texts of every class of Unicode are stored, returned and compared as they are."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Callable, Iterator
from functools import lru_cache

from django.db.models import Q

from .examples import id_of
from .expect import expect, expect_equal, expect_metadata
from .filtering import FilterHarness
from .rules import about

__all__ = ["UnicodeTests"]

#: Characters that some layer removes, replaces or takes for another one.
SPECIAL = [
    *("\n", "\r", "\r\n", "\n\r", "\v", "\f", "\x1c", "\x1d", "\x1e", "\x85", "\u2028", "\u2029"),
    *("\t", " ", "  ", "\xa0", "\u1680", "\u2003", "\u202f", "\u205f", "\u3000", "\u180e"),
    *(chr(number) for number in range(1, 32)),
    *(chr(number) for number in range(0x21, 0x7F)),  # engines split at some, and search by others
    *("\x7f", "\x80", "\x9f", "\x1b[0m", "\b", "\x1a"),
    *("\xad", "\u200b", "\u200c", "\u200d", "\u200e", "\u200f", "\u2060", "\u2061", "\ufeff"),
    *("\u061c", "\u202a", "\u202e", "\u2066", "\u2069", "\u034f", "\u115f", "\u3164", "\uffa0"),
    *("\ufe00", "\ufe0f", "\U000e0001", "\U000e0061", "\U000e0100", "\ufff9", "\ufffc", "\ufffd"),
    *("\ufffe", "\uffff", "\ufdd0", "\U0001ffff", "\U0010ffff", "\ue000", "\U000f0000", "\u0378"),
    *("\u0301", "\u0308\u0301", "\u0301\u0308", "\u20dd", "\u0903", "\u094d"),
]

#: Texts that look, sound or mean the same, and are different texts.
ALIKE = (
    "K \u212a k \u00c5 \u212b A\u030a \ufb01 fi \u00b2 2 \u2167 VIII \u03c3 \u03c2 \u03a3 "
    "\u0130 i\u0307 I i \u0131 \u01c4 \u01c5 \u01c6 D\u017d \uac00 \u1100\u1161 \u3131\u314f "
    "\u00bd 1\u20442 \u2026 ... \u00df ss \u1e9e SS \uff76 \u30ab \u304b \u304c \u304b\u3099 "
    "\u0660 0 \u0966 \uff10 O \u041e \u039f a \u0430 ' \u2019 \u02bc \" \u201c - \u2010 "
    "\u2011 \u2013 \u2212 \u00e9 e\u0301 e \u1e69 s\u0323\u0307 s\u0307\u0323 \u212b\u0323 "
    "\U0001d54f X \u2764 \u2764\ufe0f \U0001f44d \U0001f44d\U0001f3fd \U0001f1e9\U0001f1ea "
    "\\n \\ \\\\ \\u0041 &#65; &amp; & %41 A \U00020000 \u4e00"
).split()


@lru_cache
def texts() -> list[str]:
    """Return texts, none equal to another, with characters of every class in every place."""
    characters = [*SPECIAL, *of_every_category()]
    found = ["ab", *ALIKE]
    for character in characters:
        found += [f"a{character}b", f"{character}ab", f"ab{character}", character]
    return list(dict.fromkeys(found))


def of_every_category() -> Iterator[str]:
    """Yield the first and the last character of every general category."""
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for character in map(chr, range(1, sys.maxunicode + 1)):
        category = unicodedata.category(character)
        if category not in first:
            first[category] = character
        last[category] = character
    for category in first.keys() - {"Cs"}:
        yield from (first[category], last[category])


class UnicodeTests(FilterHarness):
    @about("filters-on-texts")
    def test_filter_texts_of_every_class(self) -> None:
        values = texts()[:: 1 + len(texts()) // self.at_most]
        spec = self.described(
            {"f": "str", "l": "list[str]"},
            {
                str(row): {"f": text, "l": ["another element", text]}
                for row, text in enumerate(values)
            },
        )
        lookups: list[Callable[[list[str]], tuple[str, Q]]] = [
            lambda asked: ("in", Q(f__in=asked)),
            lambda asked: ("exact", Q(*(Q(f=text) for text in asked), _connector=Q.OR)),
            lambda asked: (
                "contains",
                Q(*(Q(l__contains=text) for text in asked), _connector=Q.OR),
            ),
            lambda asked: ("NOT in", Q(~Q(f__in=asked), f__isnull=False)),
        ]
        # Two texts that are confused differ in a bit of their number, and so in one of these.
        for lookup in lookups:
            for bit in range((len(values) - 1).bit_length()):
                chosen = [row for row in range(len(values)) if row >> bit & 1]
                name, keep = lookup([values[row] for row in chosen])
                found = {int(self.known[id]) for id in self.names(spec, keep)}
                if name == "NOT in":
                    found = set(range(len(values))) - found
                wrong = sorted(found.symmetric_difference(chosen))
                expect(
                    not wrong,
                    f"{name} compares texts character by character. It is wrong for"
                    f" {[ascii(values[row]) for row in wrong[:3]]}.",
                )
        for text in values[:: 1 if self.thorough else 20]:
            rule = f"Q(f={text!a}) matches this text, and no other."
            expect_equal(self.backend.count(spec, Q(f=text)), 1, rule)

    @about("metadata-comes-back-equal")
    def test_metadata_of_every_class_of_texts(self) -> None:
        spec = self.collection(fields={"f": "str", "l": "list[str]"})
        rows = {
            str(row): {"f": text, "l": [text], "text": text, f"key {text}": {text: row}}
            for row, text in enumerate(texts())
        }
        self.describe(spec, rows)
        stored = self.stored(spec)
        got = {record.id: record for record in self.backend.get(spec, map(id_of, rows))}
        for name, metadata in rows.items():
            expect_metadata(stored[id_of(name)].metadata, metadata)
            expect_metadata(got[id_of(name)].metadata, metadata)

    @about("metadata-comes-back-equal")
    def test_metadata_of_every_character(self) -> None:
        spec = self.collection(dimensions=2)
        size = 8_192
        rows = {}
        for start in range(0, sys.maxunicode + 1, size):
            numbers = range(max(start, 1), start + size)
            text = "".join(chr(each) for each in numbers if not 0xD800 <= each <= 0xDFFF)
            if text:
                rows[str(start)] = {"text": text}
        self.describe(spec, rows)
        stored = self.stored(spec)
        for name, metadata in rows.items():
            came, right = stored[id_of(name)].metadata["text"], metadata["text"]
            lost = [ascii(each) for each in right if each not in came] if came != right else []
            expect_equal(lost, [], f"Every character comes back (from U+{int(name):X} on).")
            expect(came == right, f"Characters keep their order (from U+{int(name):X} on).")
