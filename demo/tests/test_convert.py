"""Tests of the conversion of reStructuredText, on a sample with every kind of markup."""

import re

NOISE = re.compile(r":[a-z:]+:`|`|\.\. |\*\*|\|version\||:caption:|:maxdepth:|<[a-z]+:|\[#")


def texts(blocks):
    """Yield every text that a reader sees, except code and signatures."""
    for block in blocks:
        value = block["value"]
        match block["type"]:
            case "text":
                yield value
            case "heading":
                yield value["text"]
            case "admonition":
                yield value["title"]
                yield from texts(value["body"])
            case "table":
                yield from (column["heading"] for column in value["columns"])
                yield from (cell for row in value["rows"] for cell in row["values"])


def of_kind(document, kind):
    return [block["value"] for block in document.body if block["type"] == kind]


def all_text(document):
    return " ".join(texts(document.body))


def test_no_markup_is_left(document):
    assert not [text for text in [document.title, *texts(document.body)] if NOISE.search(text)]


def test_title_and_headings(document):
    assert document.title == "Baking with Bread"
    headings = [(heading["level"], heading["text"]) for heading in of_kind(document, "heading")]
    assert headings == [("h2", "The crust"), ("h3", "Steps")]


def test_inline_markup_is_html(document):
    first = document.body[0]["value"]
    assert first.startswith("<p>Bread is <i>flour</i>, <b>water</b> and time &amp; patience.")
    assert '<a href="https://example.com/bread?a=1&amp;b=2">a recipe</a>' in first


def test_roles_give_their_text(document):
    first = document.body[0]["value"]
    assert "Version 5.2 of <code>Loaf</code> uses <code>Loaf.bake()</code>" in first
    assert "<code>OVEN_HEAT</code>, as RFC 9110 section 5 asks; #123" in first
    assert "<code>kitchen/name.py</code>" in first


def test_cross_references_give_the_title_they_mean(document):
    assert "See The Oven and Heat, The Oven and Heat, the crust and" in all_text(document)


def test_code_is_kept_to_the_letter(document):
    code = {block["code"]: block for block in of_kind(document, "code")}
    python = 'loaf = Loaf("rye")\n\nif loaf.crust < 3 and "<b>":\n    loaf.bake()'
    assert code[python]["language"] == "python"
    assert code[python]["caption"] == "kitchen/bread.py"
    assert code["$ bake --all"]["language"] == "console"


def test_admonitions_hold_text_and_code(document):
    note, version, titled, also = of_kind(document, "admonition")
    assert (note["kind"], note["title"]) == ("note", "Note")
    assert [block["type"] for block in note["body"]] == ["text", "code", "text"]
    assert note["body"][1]["value"]["code"] == "while not risen:\n    wait(minutes=5)"
    assert (version["kind"], version["title"]) == ("version", "New in Django 5.2")
    assert titled["title"] == "Why Loaf.crust?"
    assert (also["kind"], also["title"]) == ("seealso", "See also")


def test_signatures(document):
    assert of_kind(document, "signature") == [
        "class Loaf(flour, *, crust=True)",
        "bake(minutes=40, heat=220)\nbake_again()",
    ]


def test_a_list_that_holds_code_goes_on_after_it(document):
    text = all_text(document)
    assert "<ol><li>Mix.</li><li>Knead, then run:</li></ol>" in text
    assert (
        '<ol start="3"><li>Rest:<ul><li>on wood, or</li><li>on cloth.</li></ul></li></ol>' in text
    )


def test_definitions(document):
    assert "<p><b>Flour</b></p><p>What it is made of.</p>" in all_text(document)


def test_tables(document):
    (table,) = of_kind(document, "table")
    assert [column["heading"] for column in table["columns"]] == ["Grain", "Minutes"]
    assert [row["values"] for row in table["rows"]] == [
        ["<p>rye</p>", "<p><code>60</code></p>"],
        ["<p>wheat</p>", "<p>40</p>"],
    ]


def test_toctree_tells_the_order_of_the_pages_below(document):
    assert document.entries == ["flour", "rise/index"]


def test_what_only_sphinx_needs_is_left_out(document):
    text = all_text(document)
    assert "kitchen.bread" not in text
    assert "nobody sees" not in text
