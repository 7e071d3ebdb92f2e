"""The scaffold of a new backend: its names, and the files that are written.

The command ``startvectorbackend`` of the distribution `wagtail-vector-index` uses it.
"""

from .naming import NewBackend
from .writing import write_distribution

__all__ = ["NewBackend", "write_distribution"]
