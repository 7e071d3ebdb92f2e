"""html_to_text: what a reader sees, in the order in which it is read."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wagtail_vector_index.content.text import html_to_text

# Characters that make up markup, so that Hypothesis hits on broken forms of it.
MARKUP_SOUP = st.lists(
    st.sampled_from([*"<>/!?-[]&#x;='\" \na\x00\ud800"])
    | st.sampled_from(["p", "td", "pre", "script", "template", "img alt", "table", "tr", "ul"])
    | st.sampled_from(["--", "<!--", "-->", "</", "<![", "&#", "&#1;", "&amp", "9999999"])
).map("".join)

# Whole tags and texts, as editors write them, with others here and there.
PLAIN_MARKUP = st.lists(
    st.sampled_from(
        [
            *["p", "/p", "b", "/b", "h2", "a href='/x'", 'a href="/x" class=""', "br", "br/", "P"],
            *["ul", "/ul", "ol", "li", "/li", "table", "/table", "tr", "td", "/td", "pre", "/pre"],
            *['img alt="kite"/', 'embed alt="sea" /', "script", "/script", "template", "x-y"],
        ]
    ).map("<{}>".format)
    | st.sampled_from(
        ["one", " two ", " ", "\n", "&lt;b>", "&amp;", "&#1;", "three\r\nfour", "\x1c"]
    )
).map("".join)


class TestDefectsOfSearchableContent:
    """What Wagtail's get_searchable_content does with rich text, each done better."""

    def test_paragraph_breaks_are_kept(self):
        assert html_to_text("<p>One.</p><p>Two.</p>") == "One.\n\nTwo."

    @pytest.mark.parametrize(
        ("markup", "text"),
        [
            ("one<br>two", "one\ntwo"),
            ("one<br/>two", "one\ntwo"),
            ("<table><tr><td>one</td><td>two</td></tr></table>", "one | two"),
            ("<div>one</div><div>two</div>", "one\n\ntwo"),
            ("one<div>two</div>three", "one\n\ntwo\n\nthree"),
            ("<my-card>one</my-card><my-card>two</my-card>", "one two"),
            ("<button>one</button><button>two</button>", "one two"),
        ],
    )
    def test_words_are_not_glued(self, markup, text):
        assert html_to_text(markup) == text

    @pytest.mark.parametrize(
        "hidden",
        [
            "<script>if (a < b) { document.write('<p>x</p>') }</script>",
            "<SCRIPT type=module>x</SCRIPT >",
            "<style>p { color: red }</style>",
            "<template><p>x</p><template>y</template>z</template>",
            "<noscript><p>Enable scripts</p></noscript>",
            "<!-- a <b>comment</b> -->",
            "<!---->",
            "<!-->",
            "<!doctype html>",
            "<?php echo 1 ?>",
        ],
    )
    def test_what_is_not_shown_is_dropped(self, hidden):
        assert html_to_text(f"<p>One {hidden}two</p>") == "One two"

    def test_image_alternatives_are_kept(self):
        assert html_to_text('<p>A<img src="x" alt="red &amp; ripe">apple</p>') == (
            "A red & ripe apple"
        )

    def test_wagtails_embedded_images_are_kept(self):
        markup = (
            '<p>Before</p><embed alt="A red kite" embedtype="image" format="left" id="10"/>'
            '<p>After</p><embed embedtype="media" url="https://example.com/" alt="no"/>'
        )
        assert html_to_text(markup) == "Before\n\nA red kite\n\nAfter"


class TestStructure:
    def test_headings_and_quotes(self):
        markup = "<h2>Title</h2><p>Text</p><blockquote>Said</blockquote>"
        assert html_to_text(markup) == "Title\n\nText\n\nSaid"

    def test_lists(self):
        markup = "<p>Buy:</p><ul><li>milk</li><li>bread<ul><li>rye</li></ul></li></ul><p>Go.</p>"
        assert html_to_text(markup) == "Buy:\n\nmilk\nbread\nrye\n\nGo."

    def test_table_rows_are_lines(self):
        markup = """
            <p>Prices</p>
            <table>
                <caption>In euros</caption>
                <thead><tr><th>What</th><th>Price</th></tr></thead>
                <tbody>
                    <tr><td><p>Milk</p></td> <td> <p>1.20</p> </td></tr>
                    <tr><td>Bread</td><td></td><td>3</td></tr>
                </tbody>
            </table>
            <p>That is all.</p>
        """
        assert html_to_text(markup) == (
            "Prices\n\nIn euros\nWhat | Price\nMilk | 1.20\nBread | 3\n\nThat is all."
        )

    def test_paragraphs_within_a_cell_stay_apart(self):
        markup = "<table><tr><td><h2>Title</h2><p>One.</p><p>Two.</p></td></tr></table>"
        assert html_to_text(markup) == "Title\n\nOne.\n\nTwo."

    def test_inline_elements_do_not_split_words(self):
        markup = '<p>un<b>believ</b>able, <a href="/x">linked</a> text<sup>2</sup></p>'
        assert html_to_text(markup) == "unbelievable, linked text2"

    def test_space_between_inline_elements_is_kept(self):
        assert html_to_text("<b>one</b> <i>two </i><u>three</u>") == "one two three"


class TestWhiteSpace:
    def test_is_collapsed(self):
        assert html_to_text("<p>\n  One\t two&nbsp;three\n</p>\n\n<p> Four</p>") == (
            "One two three\n\nFour"
        )

    def test_is_kept_in_preformatted_text(self):
        markup = "<p>Code:</p><pre>\nif <b>x</b>:\r\n    go()\n\n</pre><p>Then</p>"
        assert html_to_text(markup) == "Code:\n\nif x:\n    go()\n\nThen"

    def test_empty_preformatted_text(self):
        assert html_to_text("<p>One</p><pre>\n</pre><pre>  </pre><p>Two</p>") == "One\n\nTwo"
        assert html_to_text("<pre>  </pre>One") == "One"

    def test_a_cell_in_empty_preformatted_text(self):
        assert html_to_text("<pre> <td></pre>One") == "One"

    def test_line_breaks_in_preformatted_text(self):
        assert html_to_text("<pre>  one<br>  two</pre>") == "one\n  two"


class TestEntitiesAndQuotes:
    def test_entities_are_decoded_once(self):
        assert html_to_text("caf&eacute; &lt;b&gt; &amp;lt; &#8364;&#x20ac;") == "café <b> &lt; €€"

    def test_text_without_tags_is_decoded_too(self):
        assert html_to_text("Q&amp;A") == "Q&A"

    def test_a_number_too_long_for_a_character(self):
        assert html_to_text(f"<p>a &#{'9' * 5000}; b</p>") == "a \N{REPLACEMENT CHARACTER} b"

    @pytest.mark.parametrize("reference", ["&#1;", "&#11;", "&#x0B;", "&#127;"])
    def test_a_reference_to_no_character(self, reference):
        assert html_to_text(f"<p>{reference}</p>") == html_to_text(reference) == ""
        assert html_to_text(f"a<b>{reference}</b>b") == "a b"

    def test_less_than_is_text(self):
        assert html_to_text("<p>1 < 2, 2<3 and a <- b</p>") == "1 < 2, 2<3 and a <- b"

    def test_tag_that_never_ends_is_text(self):
        assert html_to_text("<b>see</b> if x <y then") == "see if x <y then"

    def test_greater_than_in_a_quoted_value(self):
        assert html_to_text("""<p title="a > b" data-x='"c" > d'>Text</p>""") == "Text"

    def test_apostrophe_outside_a_value(self):
        assert html_to_text("<p class=it's don't>It's here</p>") == "It's here"

    def test_quote_that_is_never_closed(self):
        assert html_to_text('<p>One</p><p title="x>Two</p><p>Three</p>') == "One\n\nTwo\n\nThree"

    def test_alt_within_another_value_is_none(self):
        assert html_to_text("""<img title="no alt='x' here" alt=Kite>""") == "Kite"


def test_plain_text_with_nothing_to_read():
    assert html_to_text("") == html_to_text(" \n ") == html_to_text("<p> </p><br>") == ""


@given(st.text() | MARKUP_SOUP)
def test_never_raises(markup):
    assert isinstance(html_to_text(markup), str)


@given(PLAIN_MARKUP)
def test_a_comment_changes_nothing(markup):
    # Markup with a comment is read in another way.
    assert html_to_text(markup) == html_to_text(f"{markup}<!-- -->")


@given(st.text(alphabet=st.characters(exclude_characters="<&")))
def test_text_without_markup_keeps_its_words_in_order(text):
    assert html_to_text(text).split() == text.split()


@given(st.lists(st.text(st.characters(categories=["L", "N"]), min_size=1), min_size=1))
def test_words_in_blocks_survive_in_order(words):
    for before, after in [("<p>", "</p>"), ("<li>", "</li>"), ("<div><br>", ""), ("<td>", "</td>")]:
        text = html_to_text("".join(before + word + after for word in words))
        assert text.replace("|", " ").split() == words


@pytest.mark.parametrize(
    "piece",
    [
        *["<!--", "<a ", "<a x='>", '<a =">" ', "<![CDATA[", "<?", "</a", "<a =", "<pre>", "<td>"],
        *["<script>", "<template>", "&#99", "<img alt='>"],
    ],
)
def test_hostile_markup_takes_no_longer_than_ordinary(piece):
    started = time.process_time()
    html_to_text('<p title="' + piece * 20_000 + ">")
    html_to_text(piece * 20_000)
    # Some hundredths of a second; the parser of the standard library needs half a minute.
    assert time.process_time() - started < 2
