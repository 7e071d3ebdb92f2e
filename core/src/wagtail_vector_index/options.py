"""What stands in the settings beside ``BACKEND``, checked against a backend's dataclass."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_type_hints
from urllib.parse import urlsplit

from .exceptions import InvalidOptions

__all__ = ["Options", "parse_options", "secret"]

HIDDEN = "********"

_SECRET_NAME = re.compile(r"(^|_)(KEY|PASSWORD|PASSPHRASE|TOKEN|SECRET|CREDENTIALS?)$", re.IGNORECASE)

OptionsT = TypeVar("OptionsT", bound="Options")


def secret(default: Any = dataclasses.MISSING) -> Any:
    """A field of an options class whose value is never shown.

    Fields named like ``api_key``, ``password`` or ``token`` are secrets without it.

    Example::

        @dataclass(frozen=True, kw_only=True)
        class Options(BaseOptions):
            certificate: str = secret("")
    """
    return dataclasses.field(default=default, metadata={"secret": True})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The base of every backend's options: a frozen dataclass that keeps its secrets.

    A field ``api_key`` is the setting ``API_KEY``. Ranges are checked in
    ``__post_init__``, which raises ``ValueError``.

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
        # The dataclass decorator writes a __repr__ unless the class itself has one.
        cls.__repr__ = Options.__repr__  # type: ignore[method-assign]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{field.name}={HIDDEN if is_secret(field) else redact_url(getattr(self, field.name))!r}"
            for field in dataclasses.fields(self)
        )
        return f"{type(self).__qualname__}({shown})"

    def redact(self, text: str) -> str:
        """``text`` with every secret of these options made unreadable."""
        for value in sorted(self._secret_values(), key=len, reverse=True):
            text = text.replace(value, HIDDEN)
        return text

    def _secret_values(self) -> Iterator[str]:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if is_secret(field):
                yield from _texts(value)
            elif isinstance(value, str) and (password := _url_password(value)):
                yield password


def is_secret(field: dataclasses.Field[Any]) -> bool:
    """Whether a field's value must never be shown."""
    return bool(field.metadata.get("secret")) or bool(_SECRET_NAME.search(field.name))


def redact_url(value: Any) -> Any:
    """A URL without the password in it; anything else as it is."""
    if isinstance(value, str) and (password := _url_password(value)):
        return value.replace(password, HIDDEN)
    return value


def parse_options(options_class: type[OptionsT], raw: Mapping[str, Any], where: str) -> OptionsT:
    """Make a backend's options out of what stands in the settings.

    Args:
        options_class: the backend's ``Options``.
        raw: the keys beside ``BACKEND``, in capitals.
        where: names the alias, for the errors: ``SETTING["alias"]``.

    Raises:
        InvalidOptions: naming the key and what is allowed, and never the value of a secret.
    """
    fields = {field.name.upper(): field for field in dataclasses.fields(options_class)}
    for key in raw:
        if key not in fields:
            raise InvalidOptions(_unknown_key(where, key, list(fields)))
    missing = [key for key, field in fields.items() if key not in raw and _is_required(field)]
    if missing:
        raise InvalidOptions(
            f"{where}: {missing[0]!r} is missing."
            f" Required: {', '.join(missing)}. Allowed: {', '.join(sorted(fields))}."
        )
    hints = get_type_hints(options_class)
    for key, value in raw.items():
        _check_type(where, key, value, hints[fields[key].name], hide=is_secret(fields[key]))
    try:
        return options_class(**{fields[key].name: value for key, value in raw.items()})
    except ValueError as error:
        raise InvalidOptions(f"{where}: {error}") from error


def _unknown_key(where: str, key: Any, known: list[str]) -> str:
    close = difflib.get_close_matches(str(key).upper(), known, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    allowed = ", ".join(sorted(["BACKEND", *known]))
    return f"{where}: unknown key {key!r}.{hint} Allowed: {allowed}."


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _check_type(where: str, key: str, value: Any, hint: Any, *, hide: bool) -> None:
    from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

    try:
        check_type(value, hint, collection_check_strategy=CollectionCheckStrategy.ALL_ITEMS)
        matches = not (isinstance(value, bool) and hint in (int, float))
    except TypeCheckError:
        matches = False
    if not matches:
        expected = hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
        shown = type(value).__name__ if hide else f"{redact_url(value)!r}"
        # Without a cause: typeguard's own message may show the value.
        raise InvalidOptions(f"{where}: {key!r} must be of type {expected}, not {shown}.") from None


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        if value:
            yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _url_password(value: str) -> str:
    try:
        return urlsplit(value).password or ""
    except ValueError:
        return ""
