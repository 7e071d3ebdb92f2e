"""Ids and vectors to test with: the same ones at each run."""

from __future__ import annotations

from random import Random
from uuid import NAMESPACE_OID, UUID, uuid5

__all__ = ["id_of", "random_vectors", "seeded", "sorted_ids"]


def seeded(seed: int) -> Random:
    """The same random numbers at each run."""
    return Random(seed)  # noqa: S311  # nothing secret


def id_of(name: str) -> UUID:
    """A UUID that is always the same for a name."""
    return uuid5(NAMESPACE_OID, name)


def sorted_ids(count: int, seed: int = 0) -> list[UUID]:
    """Random UUIDs in ascending order, of which half have the highest bit set."""
    random = seeded(seed)
    return sorted(UUID(int=random.getrandbits(128), version=4) for _ in range(count))


def random_vectors(count: int, dimensions: int, seed: int = 0) -> list[list[float]]:
    """Vectors between -4 and 4 of all the digits that float32 has, which are not normalised."""
    random = seeded(seed)
    return [
        [(random.getrandbits(24) - 2**23) / 2**21 for _ in range(dimensions)] for _ in range(count)
    ]
