"""Exceptions that are no `Exception`, as Rust code raises them when it panics.

Nothing that handles errors would catch such an exception. In a web server, it would end the
process that was asked.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import aclosing
from typing import Any, TypeAlias

from ..wording import describe

__all__ = ["contain_panics"]

_Tell: TypeAlias = Callable[[Any, BaseException], None]

#: The module that PyO3 names for the panics of every extension in Rust.
_OF_RUST = "pyo3_runtime"


def contain_panics(backend: type[Any], base: type[Any], failure: type[Exception]) -> None:
    """Make methods of a backend's class raise an error where its code panics.

    What others raise to end the process, a thread or a task passes: KeyboardInterrupt, SystemExit,
    and the cancellations and time limits of event loops, greenlets and test runners.

    Args:
        backend: a subclass of `base`, whose methods are replaced.
        base: the class whose methods the author of a backend overrides.
        failure: the error that is raised instead.
    """
    for name in dir(base):
        owner = next(each for each in backend.__mro__ if name in vars(each))
        method = vars(owner)[name]
        if name.startswith("__") or not inspect.isfunction(method):
            continue
        if owner is backend:
            setattr(backend, name, _contained(method, method, failure))
        # The methods of other subclasses of the base were replaced when these were defined.
        elif not (issubclass(owner, base) or issubclass(base, owner)):
            setattr(backend, name, _contained(method, _inherited(backend, name), failure))


def _inherited(backend: type[Any], name: str) -> Callable[..., Any]:
    """Return a function that calls the method of a mixin, or of another one in a subclass."""

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(super(backend, self), name)(*args, **kwargs)

    return call


def _contained(
    method: Callable[..., Any], call: Callable[..., Any], failure: type[Exception]
) -> Callable[..., Any]:
    """Return a function of a method's kind that calls a function as the method is called."""
    contain = next(contain for is_of_kind, contain in _KINDS if is_of_kind(method))
    tell = functools.partial(_tell, method.__name__, failure)
    contained: Callable[..., Any] = functools.wraps(method)(contain(call, tell))
    return contained


# Without context managers, which take their time: splitters count the tokens of each word.


def _in_asynchronous_generator(call: Callable[..., Any], tell: _Tell) -> Callable[..., Any]:
    async def contained(self: Any, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        try:
            async with aclosing(call(self, *args, **kwargs)) as items:
                async for item in items:
                    yield item
        except BaseException as error:
            tell(self, error)
            raise

    return contained


def _in_coroutine(call: Callable[..., Any], tell: _Tell) -> Callable[..., Any]:
    async def contained(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return await call(self, *args, **kwargs)
        except BaseException as error:
            tell(self, error)
            raise

    return contained


def _in_generator(call: Callable[..., Any], tell: _Tell) -> Callable[..., Any]:
    def contained(self: Any, *args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        try:
            return (yield from call(self, *args, **kwargs))
        except BaseException as error:
            tell(self, error)
            raise

    return contained


def _in_function(call: Callable[..., Any], tell: _Tell) -> Callable[..., Any]:
    def contained(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return call(self, *args, **kwargs)
        except BaseException as error:
            tell(self, error)
            raise

    return contained


_KINDS = (
    (inspect.isasyncgenfunction, _in_asynchronous_generator),
    (inspect.iscoroutinefunction, _in_coroutine),
    (inspect.isgeneratorfunction, _in_generator),
    (inspect.isfunction, _in_function),
)


def _tell(name: str, failure: type[Exception], backend: Any, error: BaseException) -> None:
    """Raise an error if a backend's method panicked; return if it raised anything else."""
    if not isinstance(error, Exception) and _is_panic(error, type(backend)):
        text = backend.options.redact(describe(error))
        raise failure(
            f"{backend.alias!r} ({type(backend).__name__}): {name} panicked: {text}"
        ) from error


def _is_panic(error: BaseException, backend: type[Any]) -> bool:
    """Return whether the code of a backend or an extension in Rust raised this, and no other."""
    where = type(error).__module__
    package = backend.__module__.rpartition(".")[0] or backend.__module__
    of_backend = where == backend.__module__ or where.startswith(f"{package}.")
    return type(error) is BaseException or where == _OF_RUST or of_backend
