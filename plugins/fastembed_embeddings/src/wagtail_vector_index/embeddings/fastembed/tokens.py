"""Counts the tokens of texts as a model reads them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

from .files import TOKENIZER, Located

__all__ = ["Tokens"]

_CONFIG = "tokenizer_config.json"
# Where the library cuts texts for static models, whatever their files say.
_STATIC = 512
_SAMPLE = "HOW TO BAKE BREAD"


class Tokens:
    """The tokenizer of a model, without truncation, and the most tokens that the model reads.

    Args:
        located: where the model is.
    """

    def __init__(self, located: Located) -> None:
        self._tokenizer = Tokenizer.from_file(str(located.folder / TOKENIZER))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.limit = _STATIC if located.static else _limit(located.folder / _CONFIG)

    def count(self, text: str) -> int:
        """Return the number of tokens of a text, with those that mark its beginning and end."""
        return len(self._tokenizer.encode(text).ids)

    @property
    def cased(self) -> bool:
        """Whether a text in capitals has other tokens than the same text in small letters."""
        tokens = (self._tokenizer.encode(text).ids for text in (_SAMPLE, _SAMPLE.lower()))
        return next(tokens) != next(tokens)


def _limit(path: Path) -> int | None:
    config = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    named = [config.get(name) for name in ("model_max_length", "max_length")]
    # Where the limit is unknown, some files say 10**30.
    known = [limit for limit in named if type(limit) is int and 0 < limit < sys.maxsize]
    return min(known, default=None)
