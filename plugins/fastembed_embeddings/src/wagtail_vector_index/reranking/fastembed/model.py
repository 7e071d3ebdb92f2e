"""Runs a cross-encoder in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence

from fastembed.rerank.cross_encoder import TextCrossEncoder

from wagtail_vector_index.embeddings.fastembed.files import Located

__all__ = ["CrossEncoder"]


class CrossEncoder:
    """A cross-encoder of the library, loaded from a folder; it never uses the network.

    Args:
        located: where the model is.
        threads: how many threads compute the score of one text.
    """

    def __init__(self, located: Located, threads: int) -> None:
        # As for embeddings: texts are read one at a time, and forks stay quiet.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._encoder = TextCrossEncoder(
            located.name,
            cache_dir=str(located.folder),
            specific_model_path=str(located.folder),
            threads=threads,
        )

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return the score of each text.

        One text at a time: short texts are not padded, and a score does not depend on other
        texts.
        """
        return [score for text in texts for score in self._encoder.rerank(query, [text])]

    def close(self) -> None:
        """Do nothing: the memory is released with the last reference."""
