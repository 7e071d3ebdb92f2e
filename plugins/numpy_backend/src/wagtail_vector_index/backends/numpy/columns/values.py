"""Different values with a number each: in a dict of this process, or in a snapshot."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from wagtail_vector_index.contract import SnapshotPart

from ..arrays import restored


class SavedValues:
    """The values of a snapshot, as JSON texts in the order of their hashes.

    They stay in the snapshot's file: a value is found by its hash, and read when it is asked for.
    The position in the order is a value's number.

    Args:
        name: the name of the parts of the snapshot.
        parts: the parts that `saved_values` has yielded, or nothing.
    """

    def __init__(self, name: str = "", parts: Mapping[str, SnapshotPart] | None = None) -> None:
        self._texts: memoryview[Any] = memoryview(b"")
        self._starts: npt.NDArray[np.int64] = np.zeros(1, np.int64)
        self._hashes: npt.NDArray[np.uint64] = np.empty(0, np.uint64)
        if parts is not None:
            self._texts = parts[name].buffer
            self._starts = restored(parts[f"{name}, starts"], np.int64)
            self._hashes = restored(parts[f"{name}, hashes"], np.uint64)

    def __len__(self) -> int:
        return len(self._hashes)

    def find(self, text: bytes) -> int | None:
        """Return the number of the value with this JSON text, or None if there is none."""
        [hashed] = _hashes([text])
        number = int(self._hashes.searchsorted(hashed))
        # Different texts may have the same hash.
        while number < len(self) and self._hashes[number] == hashed:
            if self.texts([number]) == [text]:
                return number
            number += 1
        return None

    def texts(self, numbers: Iterable[int]) -> list[bytes]:
        """Return the JSON texts of the values with these numbers."""
        texts, starts = self._texts, self._starts
        return [bytes(texts[starts[number] : starts[number + 1]]) for number in numbers]


def saved_values(
    name: str, texts: Sequence[bytes]
) -> tuple[npt.NDArray[np.intp], Iterator[tuple[str, SnapshotPart]]]:
    """Return the order in which values are saved, and the parts of a snapshot.

    Args:
        name: the name of the parts.
        texts: the JSON texts of the values, all different.
    """
    hashes = _hashes(texts)
    order = np.argsort(hashes, kind="stable")
    return order, _parts(name, [texts[index] for index in order.tolist()], hashes[order])


def _parts(
    name: str, texts: Sequence[bytes], hashes: npt.NDArray[np.uint64]
) -> Iterator[tuple[str, SnapshotPart]]:
    yield name, SnapshotPart(data=[b"".join(texts)])
    yield f"{name}, starts", SnapshotPart(data=[starts([len(text) for text in texts]).data])
    yield f"{name}, hashes", SnapshotPart(data=[hashes.data])


class Values:
    """Hashable values, numbered from 1. Those of a snapshot come first, then those added since.

    None, which stands for no value, has the number 0.
    """

    def __init__(self, saved: SavedValues | None = None) -> None:
        self._saved = saved or SavedValues()
        self._own: dict[Hashable, int] = {None: 0}

    def __len__(self) -> int:
        return len(self._saved) + len(self._own)

    def find(self, value: Hashable) -> int | None:
        """Return the number of a value, or None for an unknown value."""
        number = self._own.get(value)
        return self._of_snapshot([value]).get(value) if number is None else number

    def add(self, values: Sequence[Hashable]) -> list[int]:
        """Return the number of each value, a new one for a new value."""
        own, count = self._own, len(self._saved)
        saved = self._of_snapshot(set(values).difference(own)) if count else {}
        return [
            saved[value] if value in saved else own.setdefault(value, count + len(own))
            for value in values
        ]

    def texts(self, numbers: Sequence[int]) -> list[bytes]:
        """Return the JSON texts of the values with these numbers from 1 on, which ascend."""
        own, count = list(self._own), len(self._saved)
        border = bisect_right(numbers, count)
        return [
            *self._saved.texts(number - 1 for number in numbers[:border]),
            *[json_text(own[number - count]) for number in numbers[border:]],
        ]

    def _of_snapshot(self, values: Iterable[Hashable]) -> dict[Hashable, int]:
        found = {value: self._saved.find(json_text(value)) for value in values}
        return {value: number + 1 for value, number in found.items() if number is not None}


def json_text(value: Any) -> bytes:
    """Return a value as JSON, a set as a list. Equal values have equal texts."""
    if isinstance(value, frozenset):
        value = sorted(value)
    return json.dumps(value).encode()


def starts(lengths: Sequence[int]) -> npt.NDArray[np.int64]:
    """Return where blocks of these lengths begin that follow each other, and the end."""
    return np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)


def _hashes(texts: Iterable[bytes]) -> npt.NDArray[np.uint64]:
    digests = [hashlib.blake2b(text, digest_size=8).digest() for text in texts]
    return np.frombuffer(b"".join(digests), np.uint64)
