"""A backend's options: a dataclass that the settings other than ``BACKEND`` must fit."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import re
import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote, unquote

from django.core.exceptions import ImproperlyConfigured
from django.utils.functional import Promise

from ..exceptions import InvalidOptions, PluginBroken
from ..wording import HIDDEN, describe, did_you_mean, without_keys

__all__ = ["Options", "parse_options", "secret"]

_SECRET_NAME = re.compile(
    r"((^|[_-]|ACCESS|API|AUTH|SECRET)KEYS?|(^|[_-])(PASS|AUTH)|PASSWO?R?DS?|PWD|PASSPHRASE"
    # Numbers of tokens, such as max_tokens, are no secrets.
    r"|TOKEN|(^|(ACCESS|API|AUTH|BEARER|REFRESH)[_-]?)TOKENS|SECRETS?|CREDENTIALS?|AUTHORIZATION)$",
    re.IGNORECASE,
)
#: The password in a URL. It may hold characters that should be escaped and are not, such as "/".
_URL_PASSWORD = re.compile(r"://[^:@/]*:(.+)@", re.DOTALL)
#: A parameter of a URL, or of a database's connection: ``host=db password=s3cret``, maybe quoted.
_PARAMETER = re.compile(
    r"(?:^|[?&;\s])([^=&;?#\s]+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|([^&;#\s]+))", re.DOTALL
)
#: Names of parameters that hold a secret, beside the names of secret options.
_SECRET_PARAMETERS = frozenset({"auth", "code", "sig", "signature"})

#: The value of the header ``Authorization``: a scheme, then what services quote in their errors.
_CREDENTIALS = re.compile(r"^[A-Za-z][\w-]*\s+(\S{6,})\s*$")

OptionsT = TypeVar("OptionsT", bound="Options")


def secret(default: Any = dataclasses.MISSING) -> Any:
    """Return a field of an options class whose value is never shown.

    Fields with names such as ``api_key``, ``password`` or ``token`` are secrets anyway.

    Example::

        @dataclass(frozen=True, kw_only=True)
        class Options(BaseOptions):
            certificate: str = secret("")
    """
    return dataclasses.field(default=default, metadata={"secret": True})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The base of every backend's options: a frozen dataclass that never shows its secrets.

    The setting ``API_KEY`` fills the field ``api_key``. A `pathlib.Path` for a field of type str
    becomes text. Check ranges in ``__post_init__``, and
    raise ``ValueError`` there.

    Example::

        class AcmeBackend(VectorBackend):
            @dataclass(frozen=True, kw_only=True)
            class Options(VectorBackend.Options):
                host: str
                api_key: str = ""
                timeout: float = 10.0
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The dataclass decorator adds a __repr__ unless the class defines one itself.
        cls.__repr__ = Options.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        shown = (
            f"{field.name}={_shown(getattr(self, field.name), hide=is_secret(field))}"
            for field in dataclasses.fields(self)
        )
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def redact(self, text: str) -> str:
        """Return a text with every secret of these options made unreadable."""
        values = ((field, getattr(self, field.name)) for field in dataclasses.fields(self))
        return _redact(text, values)


def is_secret(field: dataclasses.Field[Any]) -> bool:
    """Return whether a field's value must never be shown."""
    return bool(field.metadata.get("secret")) or _is_secret_name(field.name)


def parse_options(options_class: type[OptionsT], raw: Mapping[str, Any], where: str) -> OptionsT:
    """Return a backend's options, made from its settings.

    Args:
        options_class: the backend's ``Options``.
        raw: the settings, in capitals, without ``BACKEND``.
        where: the alias as errors name it: ``SETTING["alias"]``.

    Raises:
        InvalidOptions: a key or value is wrong. The message has the key and what is allowed, but
            never the value of a secret.
        PluginBroken: the dataclass itself is not usable.
    """
    raw = _HiddenSettings(raw)
    fields = {
        field.name.upper(): field for field in dataclasses.fields(options_class) if field.init
    }
    for key in raw:
        if key not in fields:
            raise InvalidOptions(_unknown_key(where, key, list(fields)))
    missing = [key for key, field in fields.items() if key not in raw and _is_required(field)]
    if missing:
        raise InvalidOptions(
            f"{where}: {missing[0]!r} is missing."
            f" Required: {', '.join(missing)}. Allowed: {', '.join(sorted(fields))}."
        )
    hints = _hints(options_class, where)
    raw = _HiddenSettings(
        {key: _as_allowed(value, hints[fields[key].name]) for key, value in raw.items()}
    )
    problems = (
        _type_problem(key, raw[key], hints[fields[key].name], hide=is_secret(fields[key]))
        for key in raw
    )
    if problem := next(filter(None, problems), None):
        raise InvalidOptions(f"{where}: {problem}")
    try:
        return options_class(**{fields[key].name: value for key, value in raw.items()})
    except Exception as error:  # noqa: BLE001  # reported below, whatever it is
        failure = error
    # Raised outside the except block. An error that shows a secret must not become the context.
    foreseen = isinstance(failure, (ValueError, ImproperlyConfigured))
    reason = str(failure) if foreseen else describe(failure)
    message = _redact(reason, ((fields[key], value) for key, value in raw.items()))
    kind = InvalidOptions if foreseen else PluginBroken
    cause = _without_values(failure, foreseen=foreseen) if message == reason else None
    # Error reports show the variables of each frame that an error passed.
    del failure, reason
    raise kind(f"{where}: {message}") from cause


class _HiddenSettings(dict[str, Any]):
    """Settings with a repr that hides them, because error reports show the reprs of variables."""

    def __repr__(self) -> str:
        return HIDDEN


def _without_values(error: Exception, *, foreseen: bool) -> Exception:
    """Return the error without the frames whose variables are the values of options.

    A foreseen error says everything in its message. For any other error, the author of the
    backend needs the frames after this module's call and the dataclass's ``__init__``.
    """
    clear_values(error)
    frames = error.__traceback__
    for _ in range(2):
        frames = frames.tb_next if frames else None
    return error.with_traceback(None if foreseen else frames)


def clear_values(error: BaseException | None) -> None:
    """Clear the variables of all frames that an error and its causes passed through."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        traceback.clear_frames(error.__traceback__)
        seen.append(error)
        error = error.__cause__ or error.__context__


def _hints(options_class: type[Options], where: str) -> dict[str, Any]:
    try:
        return get_type_hints(options_class)
    except Exception as error:
        # The types of options must be names of the module: not names of an enclosing class or
        # function, and not names that are only imported under TYPE_CHECKING.
        raise PluginBroken(
            f"{where}: the annotations of {options_class.__module__}."
            f"{options_class.__qualname__} cannot be read: {describe(error)}"
        ) from error


def _unknown_key(where: str, key: Any, known: list[str]) -> str:
    hint = did_you_mean(str(key).upper(), known)
    allowed = ", ".join(sorted(["BACKEND", *known]))
    return f"{where}: unknown key {key!r}.{hint} Allowed: {allowed}."


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _type_problem(key: str, value: Any, hint: Any, *, hide: bool) -> str:
    """Return what is wrong with a value's type, or "". If it raised, reports would show values."""
    if _fits(value, hint) and (_mentions_bool(hint) or _fits(_without_bools(value), hint)):
        return ""
    shown = type(value).__name__ if hide else _shown(value)
    return f"{key!r} must be {_expected(hint)}, not {shown}."


def _as_allowed(value: Any, hint: Any) -> Any:
    """Return a value as its option has it: a path as text, and a word in the right capitals."""
    return _as_spelt(_path_as_text(value, hint), hint)


def _path_as_text(value: Any, hint: Any) -> Any:
    """Return a path, such as Django's ``BASE_DIR / "vectors"``, as text if only text fits."""
    if isinstance(value, os.PathLike) and not _fits(value, hint):
        text = os.fspath(value)
        return text if _fits(text, hint) else value
    return value


def _as_spelt(value: Any, hint: Any) -> Any:
    """Return one of the allowed texts for a text that differs from it in capitals only."""
    if get_origin(hint) is Literal:
        texts = [text for text in get_args(hint) if isinstance(text, str)]
        if isinstance(value, str) and value not in texts:
            return next((text for text in texts if text.lower() == value.lower()), value)
    elif get_origin(hint) in (Union, UnionType):
        return functools.reduce(_as_spelt, get_args(hint), value)
    return value


def _expected(hint: Any) -> str:
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    return f"of type {hint.__name__ if type(hint) is type else str(hint).replace('typing.', '')}"


def _fits(value: Any, hint: Any) -> bool:
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    try:
        check_type(value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
    except TypeCheckError:  # not chained to another error, because its message may show the value
        return False
    return True


# In Python a bool is an int, but ``"TIMEOUT": True`` is a mistake.


def _mentions_bool(hint: Any) -> bool:
    return hint is bool or isinstance(hint, bool) or any(map(_mentions_bool, get_args(hint)))


def _without_bools(value: Any) -> Any:
    """Return the value with each bool replaced by an object that only fits ``Any``."""
    if isinstance(value, bool):
        return _NotANumber()
    if type(value) in (list, tuple, set, frozenset):
        return type(value)(map(_without_bools, value))
    if type(value) is dict:
        return {key: _without_bools(item) for key, item in value.items()}
    return value


class _NotANumber:
    pass


# Secrets


def _is_secret_name(name: object) -> bool:
    return isinstance(name, str) and bool(_SECRET_NAME.search(name))


def _shown(value: Any, *, hide: bool = False) -> str:
    """Return the repr of an option's value without its secrets."""
    if hide:
        return HIDDEN
    if isinstance(value, str):
        return repr(without_keys(_redact_all(value, _secrets_within(value))))
    if isinstance(value, Mapping):
        items = (
            f"{key!r}: {_shown(item, hide=_is_secret_name(key))}" for key, item in value.items()
        )
        return f"{{{', '.join(items)}}}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, Promise):
        return f"{_shown(str(value))}, which is translated lazily"
    text = repr(value)
    return _redact_all(text, _secrets_within(text))


def _redact(text: str, values: Iterable[tuple[dataclasses.Field[Any], Any]]) -> str:
    secrets = (_secrets(value, hide=is_secret(field)) for field, value in values)
    return _redact_all(text, itertools.chain.from_iterable(secrets))


def _redact_all(text: str, secrets: Iterable[str]) -> str:
    forms = set(itertools.chain.from_iterable(map(_forms, secrets)))
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, HIDDEN)
    return text


def _forms(text: str) -> Iterator[str]:
    """Yield a secret as it is, as it is quoted in URLs, and as it is escaped in a repr."""
    for plain in filter(None, (text, unquote(text))):
        yield from (plain, quote(plain), quote(plain, safe=""), repr(plain)[1:-1])


def _secrets(value: Any, *, hide: bool) -> Iterator[str]:
    """Yield the secrets in the value of an option, or the whole value if it is hidden."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _secrets(item, hide=hide or _is_secret_name(key))
            if str(key).lower().endswith("authorization") and isinstance(item, str):
                yield from _CREDENTIALS.findall(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets(item, hide=hide)
    elif isinstance(value, str):
        yield from _secrets_within(value)
        if hide:
            yield value
    elif hide and value is not None and not isinstance(value, bool):
        yield str(value)


def _secrets_within(value: str) -> list[str]:
    """Return the password of a URL, and the values of parameters that are secrets by their name."""
    return _URL_PASSWORD.findall(value) + [
        quoted or plain
        for name, quoted, plain in _PARAMETER.findall(value)
        if _is_secret_name(name) or name.lower() in _SECRET_PARAMETERS
    ]
