"""The JSON texts of a collection: strings of this process, or bytes in a snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import SnapshotPart

from .arrays import restored

_ENCODED_TEXTS = 4_096


class Texts:
    """A text for each row.

    The texts of a snapshot stay in its file, and are decoded when they are read. A row whose text
    is still there holds None, and the number of its row in the file.
    """

    def __init__(self) -> None:
        self._own: list[str | None] = []
        self._saved: memoryview[Any] = memoryview(b"")
        self._starts: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._origins: list[int] | npt.NDArray[np.int32] = []

    def __len__(self) -> int:
        return len(self._own)

    @property
    def nbytes(self) -> int:
        own = sum(len(text) for text in self._own if text is not None)
        return own + len(self._saved) + self._starts.nbytes

    def saved(self) -> Iterator[tuple[str, SnapshotPart]]:
        """Yield the parts of a snapshot."""
        lengths = np.empty(len(self), np.int64)
        blocks = []
        for start in range(0, len(self), _ENCODED_TEXTS):
            rows = range(start, min(start + _ENCODED_TEXTS, len(self)))
            texts = [text.encode("utf-8", "surrogatepass") for text in self.at(rows)]
            lengths[start : rows.stop] = list(map(len, texts))
            blocks.append(b"".join(texts))
        starts = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        yield "texts", SnapshotPart(data=blocks)
        yield "starts of texts", SnapshotPart(data=[starts.data])

    def restore(self, count: int, parts: Mapping[str, SnapshotPart]) -> None:
        """Take ``count`` texts from the parts of a snapshot."""
        self._own = [None] * count
        self._saved = parts["texts"].buffer
        self._starts = restored(parts["starts of texts"], np.int64)
        self._origins = np.arange(count, dtype=np.int32)

    def at(self, rows: Sequence[int]) -> list[str]:
        """Return the texts of these rows."""
        own = self._own
        return [self._read(row) if (text := own[row]) is None else text for row in rows]

    def extend(self, texts: Iterable[str]) -> None:
        """Add rows with these texts."""
        self._own.extend(texts)

    def replace(self, rows: Sequence[int], texts: Iterable[str]) -> None:
        """Give each of these rows another text."""
        for row, text in zip(rows, texts, strict=True):
            self._own[row] = text

    def move(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Give each target row the text of its source row."""
        for source, target in zip(sources, targets, strict=True):
            text = self._own[target] = self._own[source]
            if text is None:
                self._origins[target] = self._origins[source]

    def truncate(self, count: int) -> None:
        """Keep the first ``count`` rows."""
        del self._own[count:]

    def _read(self, row: int) -> str:
        origin = int(self._origins[row])
        start, stop = self._starts[origin : origin + 2].tolist()
        return str(self._saved[start:stop], "utf-8", "surrogatepass")
