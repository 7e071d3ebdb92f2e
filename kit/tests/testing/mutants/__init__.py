"""Backends that are broken on purpose, each in one way; the suite must catch them all."""

from types import ModuleType

from wagtail_vector_index.testing import OracleBackend

from . import (
    collections,
    crowds,
    filter_sizes,
    filters,
    freshness,
    habits,
    invalid,
    magnitudes,
    rankings,
    reads,
    scores,
    sizes,
    threads,
    ties,
    values,
    writes,
)
from .base import CAUGHT, MutantConformance, Refusing

__all__ = ["CAUGHT", "MUTANTS", "RIGHT", "MutantConformance"]

#: The modules in which each mutant names its test.
NAMING = (crowds, filter_sizes, freshness, habits, invalid, magnitudes, sizes, ties, values)

#: Bases of mutants that are right themselves; the suite must pass them.
RIGHT = [
    Refusing,
    filters.Walking,
    filters.Texts,
    reads.Changing,
    collections.Named,
    freshness.Shared,
    writes.KeyedByPart,
]


def mutants_in(module: ModuleType) -> list[type[Refusing]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, OracleBackend)
        and value.__module__ == module.__name__
        and value not in RIGHT
    ]


MUTANTS = [
    mutant
    for module in (scores, rankings, filters, writes, reads, collections, threads)
    for mutant in mutants_in(module)
] + [mutant for mutants in CAUGHT.values() for mutant in mutants]
