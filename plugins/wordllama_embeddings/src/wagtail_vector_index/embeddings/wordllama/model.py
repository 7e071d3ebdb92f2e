"""Reads the model of the ``wordllama`` wheel: a vector for each token, and a tokenizer."""

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

# A word with the spaces before it. The tokenizer writes a space as ▁. No token in the model's
# vocabulary continues after a word or across a line break, so these pieces are tokenized
# independently. Only words or spaces of more than 64 characters are cut within.
_PIECES = re.compile(r"[ ▁]{0,64}[^ ▁\n]{1,64}|[ ▁]{1,64}|\n")
_REMEMBERED_PIECES = 100_000  # about 14 MB

# How many token vectors are gathered at a time: 4 MB.
_BLOCK = 4096


class StaticModel:
    """Embeds a text as the mean of the vectors of its tokens.

    This class reads the model's files directly. ``import wordllama`` would set up the root logger
    and import an HTTP client. Its loader downloads missing files, and its ``embed`` pads every
    text of a batch to the longest.

    Args:
        dimensions: how many of the 256 components to keep. The model was trained so that
            the first 64 or 128 are usable alone.

    Raises:
        ClientNotInstalled: a file of the installed ``wordllama`` is missing or broken.
    """

    def __init__(self, dimensions: int) -> None:
        weights = _shipped(_WEIGHTS, lambda path: load_file(path)["embedding.weight"])
        self._vectors = np.ascontiguousarray(weights[:, :dimensions], dtype=np.float32)
        self._tokenizer = _shipped(_TOKENIZER, Tokenizer.from_file)
        # The shipped one also adds a space before every text, which is wrong for pieces of a text.
        self._tokenizer.normalizer = normalizers.Replace(" ", "▁")
        self._counts = _Counts(lambda piece: len(self._encode(piece)))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row of length 1 for each text. An empty text gets the vector of a space."""
        rows = np.zeros((len(texts), self._vectors.shape[1]), dtype=np.float32)
        for index, text in enumerate(texts):
            # One text at a time: batches use threads, which warn after a fork.
            ids = self._encode(f" {text}")
            for start in range(0, len(ids), _BLOCK):
                rows[index] += self._vectors[ids[start : start + _BLOCK]].sum(axis=0)
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return rows

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens in a text, as the sum of cached counts of its words.

        Splitters ask for the same words many times. The number is exact, except that it can be
        1% too high for runs of more than 64 letters or spaces.
        """
        return sum(map(self._counts.__getitem__, _PIECES.findall(f" {text}"))) if text else 0

    def _encode(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids


class _Counts(dict[str, int]):
    """Caches the number of tokens of each piece of text.

    This is several times as fast as `functools.lru_cache`, which records every use.
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
