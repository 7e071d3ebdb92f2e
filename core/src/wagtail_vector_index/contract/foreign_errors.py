"""Turns errors of a client, which a third party's backend let pass, into errors of ours."""

from __future__ import annotations

from ..exceptions import VectorIndexError

__all__ = ["as_ours"]


def as_ours(failure: Exception, kind: type[VectorIndexError], backend: str) -> Exception:
    """Return a backend's failure as an error that callers expect.

    Args:
        failure: what the backend raised.
        kind: the class of the error to return for what is not of this project.
        backend: the backend as a message begins, such as "Chat backend 'default'".
    """
    if isinstance(failure, VectorIndexError):
        return failure
    error = kind(f"{backend} failed with {type(failure).__name__}: {failure}")
    error.__cause__ = failure
    return error
