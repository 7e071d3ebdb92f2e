"""Takes out the thoughts of a model that reasons, which some services leave in its answer."""

from __future__ import annotations

import re

__all__ = ["Thoughts", "begins_in_thoughts"]

_OPENING = ("<think>", "<thinking>", "<thought>", "<reasoning>", "<seed:think>", "[think]")
#: The end of the thoughts by their beginning.
_ENDS = {tag: f"{tag[0]}/{tag[1:]}" for tag in _OPENING}
_TAGS = (*_OPENING, *_ENDS.values())
_LONGEST = max(map(len, _TAGS))

_ANY_CLOSING = re.compile("|".join(map(re.escape, _ENDS.values())), re.IGNORECASE)

#: The prompts of these models end with "<think>", so that their answers have only "</think>".
_BEGUN = re.compile(
    r"(?<![a-z0-9])(?:r1|qwq|thinking|reasoner|reasoning|minimax-m\d)(?![a-z0-9])", re.IGNORECASE
)


def begins_in_thoughts(model: str) -> bool:
    """Return whether a model of this name may write thoughts without a tag before them."""
    return _BEGUN.search(model) is not None


class Thoughts:
    """Takes the thoughts at the beginning out of a text that comes in pieces.

    Args:
        begun: whether the thoughts may begin without a tag. Then all text is held back until
            their end, unless the service sends thoughts apart from the text.

    Example::

        thoughts = Thoughts(begun=False)
        thoughts.without("<think>Hm")  # ""
        thoughts.without("m.</think> Mix ")  # "Mix "
    """

    def __init__(self, *, begun: bool) -> None:
        self._begun = begun
        self._held = ""
        #: Finds the end of the thoughts that have begun.
        self._end: re.Pattern[str] | None = None
        self._searched = 0
        self._any = False
        self._over = False

    def are_apart(self) -> None:
        """Take note that the service sends the thoughts apart from the text."""
        self._begun = False
        if self._end is _ANY_CLOSING:
            self._end = None

    def without(self, text: str) -> str:
        """Return the part of the answer in the text so far that was not returned before."""
        if self._over:
            return text
        self._held += text
        while not self._over:
            if self._end is not None:
                found = self._end.search(self._held, self._searched)
                if found is None:
                    self._searched = max(0, len(self._held) - _LONGEST)
                    return ""
                self._drop(self._held[found.end() :], None)
                continue
            start = self._held.lstrip()
            head = start[:_LONGEST].lower()
            if tag := next((tag for tag in _TAGS if head.startswith(tag)), None):
                end = _ENDS.get(tag)
                pattern = re.compile(re.escape(end), re.IGNORECASE) if end else None
                self._drop(start[len(tag) :], pattern)
            elif any(tag.startswith(head) for tag in _TAGS):
                return ""  # the next piece may complete a tag
            elif self._begun:
                self._end = _ANY_CLOSING
            else:
                self._over = True
        return self._taken()

    def rest(self, *, complete: bool) -> str:
        """Return the part of the answer that was held back, once all text has come.

        Args:
            complete: whether the answer is complete. If not, a text without an end of the
                thoughts may be nothing but thoughts.
        """
        is_thoughts = self._end is not None and not (complete and self._end is _ANY_CLOSING)
        return "" if is_thoughts else self._taken()

    def _drop(self, kept: str, end: re.Pattern[str] | None) -> None:
        self._held, self._end = kept, end
        self._searched, self._any, self._begun = 0, True, False

    def _taken(self) -> str:
        taken, self._held = self._held, ""
        return taken.lstrip() if self._any else taken
