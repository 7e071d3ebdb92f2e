"""Excerpts: the parts of chunks that fit a query best."""

import re

WORD = re.compile(r"\w+")
BETWEEN_SENTENCES = re.compile(r"(?<=[.?!])\s+|\n+")
ENDINGS = re.compile(r"(?:ions?|ers?|ies|ing|ed|es|s|y|e)$")
COMMON = frozenset(
    """a an and are as at be by can do does for from has have how i if in is it may
    me my not of on or same so something that the their them there they this to two
    was we what when where which who why will with would you your""".split()
)


def stem(word):
    word = word.lower()
    return ENDINGS.sub("", word) if len(word) > 3 else word


def stems(query):
    words = WORD.findall(query)
    return {stem(word) for word in words if word.lower() not in COMMON}


def excerpt(text, query, length=320):
    """Return at most `length` characters of the sentences that share most words with the query."""
    wanted = stems(query)
    sentences = [part for part in BETWEEN_SENTENCES.split(text) if part.strip()]
    sizes = [len(sentence) for sentence in sentences]
    hits = [len(wanted & {stem(word) for word in WORD.findall(part)}) for part in sentences]

    def worth(start):
        total, size = 0, 0
        for position in range(start, len(sentences)):
            size += sizes[position]
            if size > length and position > start:
                break
            total += hits[position]
        return total, -start

    start = -max(map(worth, range(len(sentences))), default=(0, 0))[1]
    return _cut(" ".join(" ".join(sentences[start:]).split()), length, start > 0)


def _cut(text, length, began_before):
    if len(text) > length:
        text = text[:length].rpartition(" ")[0].rstrip(",;:–-") + " …"
    return f"… {text}" if began_before else text


def marked(text, query):
    """Yield the pieces of a text, each with whether it is a word of the query."""
    wanted = stems(query)
    position = 0
    for match in WORD.finditer(text):
        if stem(match[0]) in wanted:
            yield text[position : match.start()], False
            yield match[0], True
            position = match.end()
    yield text[position:], False
