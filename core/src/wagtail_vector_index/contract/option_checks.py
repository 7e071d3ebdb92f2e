"""Checks of options that backends of services share, for ``__post_init__``.

Each check raises ValueError, which is reported together with the alias.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ..wording import without_keys

__all__ = [
    "MAX_TIMEOUT",
    "check_absolute",
    "check_api_key",
    "check_headers",
    "check_host",
    "check_ranges",
]

#: The longest time-out of an option, in seconds: a day. Python, its sockets and the clients each
#: have a limit of their own, beyond which every call would end in an OverflowError.
MAX_TIMEOUT = 86_400

#: The highest port there is.
_MAX_PORT = 65_535

#: One part of a host's name between dots. Docker's names contain "_".
_HOST_PART = re.compile(r"[\w-]{1,63}")

_HEADER_NAME = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_HEADER_VALUE = re.compile(r"([!-~]([ -~]*[!-~])?)?", re.ASCII)


def check_host(host: str, example: str) -> SplitResult:
    """Check an option ``HOST`` and return its parts: it must be an HTTP URL without secrets.

    The URL is shown in errors and logs, so it may hold neither a password nor a query.

    Args:
        host: the URL; its path is not checked.
        example: shown in the error.
    """
    # Some clients drop white space, some send it, and `urlsplit` removes some of it.
    if any(character.isspace() or not character.isprintable() for character in host):
        raise ValueError(
            "'HOST' contains a space, a line break or an invisible character. Files of secrets"
            " often end with a line break. Remove it."
        )
    parts = urlsplit(host)
    # Without a scheme, all of the text is a path.
    if "@" in parts.netloc or ("://" not in host and "@" in host):
        raise ValueError("'HOST' must not hold a user or password; the key goes into 'API_KEY'.")
    if parts.query or parts.fragment:
        raise ValueError(f"'HOST' is a URL such as {example!r}, without '?' or '#'.")
    if parts.scheme not in ("http", "https") or not _has_name(parts) or not _has_port(parts):
        raise ValueError(
            f"'HOST' is a URL such as {example!r}, not {without_keys(host)!r}. A port is from 1 to"
            f" {_MAX_PORT}."
        )
    return parts


def check_api_key(key: str) -> None:
    """Check an option ``API_KEY``, which may be empty."""
    if not all("!" <= character <= "~" for character in key):
        raise ValueError("'API_KEY' must be ASCII text without spaces or line breaks.")


def check_headers(headers: Mapping[str, str]) -> None:
    """Check an option ``HEADERS``: every header must be valid in both HTTP and gRPC.

    The error names the header but not its value, which may be a secret.
    """
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"'HEADERS': {name!r} is not a valid header name.")
        if name.lower().endswith("-bin"):
            raise ValueError(
                f"'HEADERS': {name!r} must not end with '-bin', which gRPC takes for bytes."
            )
        if not _HEADER_VALUE.fullmatch(value):
            raise ValueError(
                f"'HEADERS': the value of {name!r} must be ASCII text without leading or trailing"
                " spaces."
            )


def check_ranges(options: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Check that numbers are within their ranges; an option that is not a number passes.

    Args:
        options: the options.
        ranges: the least and the most that an option can be; ``math.inf`` for no limit.

    Example::

        check_ranges(self, {"timeout": (0.001, MAX_TIMEOUT), "batch_size": (1, math.inf)})
    """
    for name, (least, most) in ranges.items():
        value = getattr(options, name)
        if isinstance(value, (int, float)) and not least <= value <= most:
            allowed = f"at least {least}" if most == math.inf else f"from {least} to {most}"
            raise ValueError(f"{name.upper()!r} must be {allowed}, not {value}.")


def check_absolute(options: Any, *names: str) -> None:
    """Check that options that name files or folders are absolute paths; an empty one passes.

    A relative path would lead elsewhere in each process, depending on where it started. "~" is
    no absolute path either, since only shells know it.

    Example::

        check_absolute(self, "model_path", "cache_dir")
    """
    for name in names:
        value = getattr(options, name)
        if value and not Path(value).is_absolute():
            raise ValueError(
                f"{name.upper()!r} must be an absolute path, not {str(value)!r}. In settings, begin"
                " with BASE_DIR, such as BASE_DIR / 'files'."
            )


def _has_name(parts: SplitResult) -> bool:
    name = (parts.hostname or "").removesuffix(".")
    # `urlsplit` checks an IPv6 address, which stands in brackets.
    return "[" in parts.netloc or all(map(_HOST_PART.fullmatch, name.split(".")))


def _has_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0 and not parts.netloc.endswith(":")
    except ValueError:
        return False
