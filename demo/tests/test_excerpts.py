from vectordemo.excerpts import excerpt, marked

TEXT = (
    "Bread is old. Nobody knows who baked the first loaf, or why. "
    "To stop dough from rising, put it into a cold place. Then wait."
)


def test_begins_with_the_sentence_that_fits_the_question():
    assert excerpt(TEXT, "how do I stop the dough rising?", length=64) == (
        "… To stop dough from rising, put it into a cold place. Then wait."
    )


def test_short_text_is_whole():
    assert excerpt(TEXT, "bread", length=500) == TEXT


def test_is_never_much_longer_than_asked_for():
    assert len(excerpt("word " * 500, "unknown", length=80)) <= 84


def test_paragraphs_are_kept_apart_and_names_together():
    assert excerpt("Call it.\n\nloaf.bake()\nThen wait", "x") == "Call it. loaf.bake() Then wait"


def test_empty_text():
    assert excerpt("", "anything") == ""


def test_words_of_the_query_are_marked_whatever_their_ending():
    found = [
        piece
        for piece, is_marked in marked("Rising dough rises, doughnuts don't", "dough rise")
        if is_marked
    ]
    assert found == ["Rising", "dough", "rises"]


def test_marking_loses_nothing():
    assert "".join(piece for piece, _ in marked(TEXT, "old bread")) == TEXT
