"""What the ``wordllama`` wheel ships: one vector for each token, and the tokenizer."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file
from tokenizers import Tokenizer, normalizers

from wagtail_vector_index.exceptions import ClientNotInstalled

__all__ = ["NAME", "StaticModel"]

NAME = "l2_supercat"
T = TypeVar("T")

_WEIGHTS = "weights/l2_supercat_256.safetensors"
_TOKENIZER = "tokenizers/l2_supercat_tokenizer_config.json"

# A word with the spaces before it; ▁ is how the tokenizer writes a space. In the model's
# vocabulary no token goes on after a word or across a line break, so that these pieces are
# tokenized independently. Only what is longer than 64 characters is cut within.
_PIECES = re.compile(r"[ ▁]{0,64}[^ ▁\n]{1,64}|[ ▁]{1,64}|\n")
_REMEMBERED_PIECES = 100_000  # about 14 MB

# Token vectors that are gathered at a time: 4 MB.
_BLOCK = 4096


class StaticModel:
    """The mean of its tokens' vectors stands for a text.

    The files are read as they are: ``import wordllama`` would set up the root logger and
    import an HTTP client, its loader downloads what it doesn't find, and its ``embed``
    pads every text of a batch to the longest.

    Args:
        dimensions: how many of the 256 components to keep. The model was trained so that
            the first 64 or 128 can stand alone.

    Raises:
        ClientNotInstalled: if the installed ``wordllama`` ships no such files, or broken ones.
    """

    def __init__(self, dimensions: int) -> None:
        weights = _shipped(_WEIGHTS, lambda path: load_file(path)["embedding.weight"])
        self._vectors = np.ascontiguousarray(weights[:, :dimensions], dtype=np.float32)
        self._tokenizer = _shipped(_TOKENIZER, Tokenizer.from_file)
        # As shipped, it also puts a space before every text, which pieces of text can't use.
        self._tokenizer.normalizer = normalizers.Replace(" ", "▁")
        self._counts = _Counts(lambda piece: len(self._encode(piece)))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One vector of length 1 for each text, as rows; that of the empty text is a space's."""
        rows = np.zeros((len(texts), self._vectors.shape[1]), dtype=np.float32)
        for index, text in enumerate(texts):
            # One text at a time: batches use threads, which complain after a fork.
            ids = self._encode(f" {text}")
            for start in range(0, len(ids), _BLOCK):
                rows[index] += self._vectors[ids[start : start + _BLOCK]].sum(axis=0)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has, from the counts of its words, which are remembered.

        Splitters ask for the same words over and over. Exact, but for runs of
        more than 64 letters or spaces, where it can be 1% high.
        """
        return sum(map(self._counts.__getitem__, _PIECES.findall(f" {text}"))) if text else 0

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class _Counts(dict[str, int]):
    """The number of tokens of each piece of text, counted when it is first asked for.

    Several times as fast as `functools.lru_cache`, which notes what was used last.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count

    def __missing__(self, piece: str) -> int:
        if len(self) >= _REMEMBERED_PIECES:
            self.clear()
        count = self[piece] = self._count(piece)
        return count


def _shipped(name: str, read: Callable[[str], T]) -> T:
    spec = find_spec("wordllama")
    path = Path(spec.origin).parent / name if spec and spec.origin else Path(name)
    try:
        return read(str(path))
    except Exception as error:
        wrong = f"{path} cannot be read: {error}" if path.is_file() else f"there is no file {path}"
        raise ClientNotInstalled(
            f"The model of the wordllama embedding backend cannot be loaded: {wrong}."
            f" Run: pip install --force-reinstall 'wordllama>=0.3.9'"
        ) from error
