"""The phrases that errors and messages share."""

from __future__ import annotations

import difflib
import itertools
import re
import reprlib
from collections.abc import Iterable, Sequence
from typing import Any

__all__ = [
    "HIDDEN",
    "article",
    "describe",
    "did_you_mean",
    "listed",
    "sentence",
    "shown",
    "without_keys",
]

#: Stands for a secret in texts.
HIDDEN = "********"

#: A part of a name, a path or a host that is long enough to be a key.
_LONG_PART = re.compile(r"[A-Za-z0-9_+=-]{16,}", re.ASCII)
_KEY_PREFIX = re.compile(r"(sk|pk|rk|gsk|xai|hf|pa|jina|pplx|ghp)[-_]|AIza|AKIA|eyJ")

_REPR = reprlib.Repr()
_REPR.maxstring = _REPR.maxother = 100


def describe(error: BaseException) -> str:
    """Return an exception as one line that begins with its type.

    Example::

        >>> describe(ValueError("no such file"))
        'ValueError: no such file'
    """
    message = " ".join(str(error).split())
    return f"{type(error).__name__}: {message}" if message else type(error).__name__


def shown(value: Any) -> str:
    """Return the repr of a value, shortened so that it fits into an error."""
    try:
        return _REPR.repr(value)
    except ValueError:  # Python refuses to write out integers of thousands of digits
        return f"<{type(value).__name__}>"


def without_keys(text: str) -> str:
    """Return a text in which everything that looks like a key of a service is hidden.

    Keys end up in the wrong setting. A key has a well-known beginning, or it is long and changes
    often between letters, capitals and digits, which words do not.

    Example::

        >>> without_keys("https://sk-proj-4fGh7Jk9Lm2Np5Qr/v1")
        'https://********/v1'
    """
    return _LONG_PART.sub(lambda part: HIDDEN if _is_key(part[0]) else part[0], text)


def _is_key(part: str) -> bool:
    if not any(c.isdigit() for c in part):
        return False
    kinds = [(c.isdigit(), c.isupper()) for c in part if c.isalnum()]
    changes = sum(one != other for one, other in itertools.pairwise(kinds))
    return bool(_KEY_PREFIX.match(part)) or (len(part) >= 20 and changes >= len(part) / 4)


def did_you_mean(name: Any, known: Iterable[Any]) -> str:
    """Return " Did you mean 'name'?" for the known name closest to a wrong one.

    The result begins with a space, and is empty if no known name is close.

    Example::

        >>> did_you_mean("qdrnt", ["numpy", "qdrant"])
        " Did you mean 'qdrant'?"
    """
    close = difflib.get_close_matches(str(name), map(str, known), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def listed(items: Sequence[str]) -> str:
    """Return items joined as in a sentence: "a, b and c"."""
    return " and ".join(items) if len(items) < 3 else f"{', '.join(items[:-1])} and {items[-1]}"


def article(noun: str) -> str:
    """Return a noun with its indefinite article."""
    return f"an {noun}" if noun[:1] in "aeiou" else f"a {noun}"


def sentence(text: str) -> str:
    """Return a text with a full stop at its end, unless it ends a sentence already."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
