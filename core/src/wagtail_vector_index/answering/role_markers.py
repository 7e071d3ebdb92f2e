"""Breaks up the markers by which models' templates separate roles, wherever content has them.

Some services obey such a marker anywhere in a text: what follows would pass for an instruction
of the site, or for words that the model said itself. Each family of models has its own, and new
ones come with every release. So whatever has the form of a marker is broken up, unless it is
known to be harmless, such as an element of HTML.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["without_role_markers"]

#: Elements of HTML that content may show, for instance in a tutorial. "s" is not among them,
#: since it also begins a conversation.
_ELEMENTS = (
    "a abbr address article aside audio b base bdi bdo blockquote body br button canvas caption"
    " cite code col colgroup data datalist dd del details dfn dialog div dl dt em embed fieldset"
    " figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img"
    " input ins kbd label legend li link main map mark menu meta meter nav noscript object ol"
    " optgroup option p picture pre progress q rp rt ruby samp script search section select slot"
    " small source span strong style sub summary sup svg table tbody td template textarea tfoot"
    " th thead time title tr track u ul var video wbr"
)

#: The words before a colon by which a text names who speaks.
_SPEAKERS = (
    "human|user|assistant|system|developer|tool|function|ai|bot|model|instructions?|response"
    "|observation|ipython"
)

#: Each match ends where a space breaks a marker up.
_MARKER = re.compile(
    # <|im_start|>, <|turn>, <tool_call|>, <[begin of …]>, <<SYS>>
    r"<(?=[|\[][^<>\n]{0,64}>|[^<>\s]{1,64}\|>|</?SYS>>"
    # <start_of_turn>, <think>, </s>, <function=…>, <用户>, but no element of HTML
    rf"|(?!/?(?:SYS>>|(?:{_ELEMENTS.replace(' ', '|')})/?>))/?[^\W\d_][^<>\s\"']{{0,63}}>)"
    # [INST], [/TOOL_CALLS], [gMASK], [e~[, [|endofturn|]
    r"|\[(?=/?(?-i:[A-Z][A-Z_]+[0-9]*|[gs]MASK)\]|e~\[|\|[^\[\]\n]{1,64}\|\]"
    r"|/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])"
    # ]~b]
    r"|\](?=~)"
    # "Human:" anywhere, and in front of anything at the beginning of a line, as in "**User:Hi"
    rf"|(?<![^\W_])(?:{_SPEAKERS})(?=:(?:\W|$))"
    rf"|^[^\w\n<\[\]]{{0,8}}(?:{_SPEAKERS})(?=:)",
    re.IGNORECASE | re.MULTILINE,
)


def without_role_markers(text: str) -> str:
    """Return the text with a space in every marker by which models' templates separate roles."""
    folded, places = _folded(text)
    kept, start = [], 0
    for match in _MARKER.finditer(folded):
        end = match.end() if places is None else places[match.end() - 1] + 1
        kept += [text[start:end], " "]
        start = end
    return "".join([*kept, text[start:]])


def _folded(text: str) -> tuple[str, list[int] | None]:
    """Return the text as a tokenizer may read it, and the place of each character in the text.

    Tokenizers may turn full-width characters into ASCII, and leave out invisible ones. Places are
    None if they are the same.
    """
    if text.isascii():
        return text, None
    pairs = [(folded, place) for place, character in enumerate(text) for folded in _fold(character)]
    return "".join(folded for folded, _ in pairs), [place for _, place in pairs]


@lru_cache(maxsize=4_096)
def _fold(character: str) -> str:
    if character.isascii():
        return character
    if unicodedata.category(character) == "Cf":
        return ""
    return unicodedata.normalize("NFKC", character)
