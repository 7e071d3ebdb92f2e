"""Filters compare texts character by character, whatever the characters are."""

from __future__ import annotations

from django.db.models import Q

from .examples import id_of, seeded
from .expect import expect_equal
from .filtering import FilterHarness
from .rules import about

__all__ = ["TextFilterTests"]

#: Texts that some language, index or protocol may change or misread.
TEXTS = {
    "empty": "",
    "blank": " ",
    "plain": "blog",
    "capital": "Blog",
    "capitals": "BLOG",
    "left": " blog",
    "right": "blog ",
    "line": "blog\n",
    "tab": "\tblog",
    "longer": "blog post",
    "dashed": "blog-post",
    "underscore": "bl_g",
    "percent": "bl%",
    "star": "blog*",
    "question": "b?og",
    "regex": "b.*",
    "single": "it's",
    "double": 'say "blog"',
    "backslash": "bl\\og",
    "escape": "bl\\",
    "sql": "'; DROP TABLE records; --",
    "or": "' OR '1'='1",
    "json": '{"a": ["b"]}',
    "braces": "{blog,post}",
    "html": "<b>blog</b> &amp;",
    "number": "1",
    "decimal": "1.0",
    "true": "true",
    "null_text": "null",
    "none_text": "None",
    "composed": "caf\u00e9",
    "decomposed": "cafe\u0301",
    "bare": "cafe",
    "sharp": "stra\u00dfe",
    "double_s": "strasse",
    "dotless": "\u0131",
    "fullwidth": "\uff42log",
    "emoji": "\U0001f469\u200d\U0001f4bb",
    "emoji_part": "\U0001f469",
    "hebrew": "\u05e9\u05dc\u05d5\u05dd",
    "chinese": "\u535a\u5ba2",
    "control": "\u0001\u001f\u007f",
    "zero_width": "bl\u200bog",
    "bom": "\ufeffblog",
    "no_break": "blog\u00a0",
    "separator": "blog\u2028",
}


class TextFilterTests(FilterHarness):
    @about("filters-on-texts")
    def test_filter_texts_exact(self) -> None:
        spec = self.of_values("str", TEXTS)
        self.keeps(spec, [(Q(f=text), name) for name, text in TEXTS.items()])
        absent = ("b", "blo", "og", "lo", "cafe\u0301s", "STRASSE", "{}", "[]", "_", "%", "nope")
        self.keeps(spec, [(Q(f=text), "") for text in absent])

    @about("filters-on-texts")
    def test_filter_texts_in(self) -> None:
        spec = self.of_values("str", TEXTS)
        self.keeps(spec, [(Q(f__in=[text]), name) for name, text in TEXTS.items()])
        self.keeps(
            spec,
            [
                (Q(f__in=["blog", "", "nope", "blog"]), "plain empty"),
                (Q(f__in=("caf\u00e9", "Blog")), "composed capital"),
                (Q(f__in={"bl%", "bl_g"}), "percent underscore"),
                (Q(f__in=list(TEXTS.values())), " ".join(TEXTS)),
                (~Q(f__in=list(TEXTS.values())), "missing null other"),
                (Q(f__in=[]), ""),
            ],
        )

    @about("filters-on-texts")
    def test_filter_texts_negated(self) -> None:
        spec = self.of_values("str", TEXTS)
        for name in ("plain", "empty", "percent", "composed", "sql"):
            others = " ".join(other for other in TEXTS if other != name)
            self.keeps(spec, [(~Q(f=TEXTS[name]), f"{others} missing null other")])

    @about("filters-on-texts")
    def test_filter_prefixes_are_other_keys(self) -> None:
        keys = {f"key{n}": f"blog.note:{n}" for n in (1, 10, 100, 11, 2)}
        spec = self.of_values("str", keys)
        self.keeps(spec, [(Q(f=key), name) for name, key in keys.items()])
        self.keeps(spec, [(Q(f__in=["blog.note:1", "blog.note:2"]), "key1 key2")])

    @about("filters-on-texts")
    def test_filter_long_texts(self) -> None:
        random = seeded(3)
        long = "".join(random.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=5_000))
        spec = self.of_values("str", {"one": f"{long}1", "two": f"{long}2", "short": long[:100]})
        cases = [(Q(f=f"{long}1"), "one"), (Q(f=f"{long}2"), "two"), (Q(f=long), "")]
        self.keeps(spec, [*cases, (~Q(f=f"{long}1"), "two short missing null other")])

    @about("filters-on-texts")
    def test_filter_by_many_values(self) -> None:
        spec = self.of_values("str", {"a": "page:7", "b": "page:1999", "c": "page:2000"})
        keys = [f"page:{n}" for n in range(2_000)]
        self.keeps(spec, [(Q(f__in=keys), "a b"), (~Q(f__in=keys), "c missing null other")])

    @about("names-of-fields")
    def test_filter_fields_named_like_reserved_words(self) -> None:
        names = (
            "id vector type class order select object model score distance limit group user table"
            " where key name value uuid properties payload metadata text count from and or not"
            " null true default index collection document content embedding timestamp date"
        ).split()
        spec = self.described(
            dict.fromkeys(names, "str"),
            {
                "a": {name: f"{name} a" for name in names},
                "b": {name: f"{name} b" for name in names},
            },
        )
        self.keeps(spec, [(Q(**{name: f"{name} a"}), "a") for name in names])
        self.keeps(spec, [(~Q(**{name: f"{name} a"}), "b") for name in names])
        stored = self.stored(spec)[id_of("a")].metadata
        rule = "Metadata keys keep their names, also reserved words."
        expect_equal(stored, {name: f"{name} a" for name in names}, rule)
