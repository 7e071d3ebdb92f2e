"""Ids and vectors for tests, the same at each run."""

from __future__ import annotations

from random import Random
from uuid import NAMESPACE_OID, UUID, uuid5

__all__ = ["id_of", "random_vectors", "seeded", "sorted_ids"]


def seeded(seed: int) -> Random:
    """Return a generator of random numbers that are the same at each run."""
    return Random(seed)  # noqa: S311  # nothing secret


def id_of(name: str) -> UUID:
    """Return the UUID of a name, which is always the same."""
    return uuid5(NAMESPACE_OID, name)


def sorted_ids(count: int, seed: int = 0) -> list[UUID]:
    """Return random UUIDs in ascending order, about half of them with the highest bit set."""
    random = seeded(seed)
    return sorted(UUID(int=random.getrandbits(128), version=4) for _ in range(count))


def random_vectors(count: int, dimensions: int, seed: int = 0) -> list[list[float]]:
    """Return vectors that are not normalised, of float32 numbers between -4 and 4."""
    random = seeded(seed)
    return [
        [(random.getrandbits(24) - 2**23) / 2**21 for _ in range(dimensions)] for _ in range(count)
    ]
