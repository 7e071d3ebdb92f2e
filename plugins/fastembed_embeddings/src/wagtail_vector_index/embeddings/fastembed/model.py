"""Runs a model in this process."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
from fastembed import TextEmbedding
from numpy.typing import NDArray

from .files import Located

__all__ = ["Model"]


class Model:
    """A model of the library, loaded from a folder; it never uses the network.

    Args:
        located: where the model is.
        threads: how many threads compute one text.
    """

    def __init__(self, located: Located, threads: int) -> None:
        # Texts are embedded one at a time, so threads of the tokenizer are of no use. After a
        # fork, older tokenizers warn on stderr if they had been allowed.
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        self._embedding = TextEmbedding(
            located.name,
            cache_dir=str(located.folder),
            specific_model_path=str(located.folder),
            threads=None if located.static else threads,
        )

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return a row for each text.

        One text at a time: on a processor this is as fast as in batches and takes less memory,
        since short texts are not padded. It also makes a vector independent of other texts,
        which in batches it isn't if the model is quantised.
        """
        rows = [row for text in texts for row in self._embedding.embed([text])]
        return np.asarray(rows, dtype=np.float32)

    def close(self) -> None:
        """Do nothing: the memory is released with the last reference."""
