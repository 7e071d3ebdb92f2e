"""Makes the clients. What a client finds in its environment goes to no other service.

OpenAI's client reads headers, an organisation and a project from variables of the environment,
and follows redirects to any host. The list of what it reads grows with its versions. So each
request is looked at just before it leaves: it keeps only headers that are known to be meant for
this service, and does not leave for another host.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from wagtail_vector_index.contract.services import proxy_of

from .options import ServiceOptions, environment_is_of_openai

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

#: The headers of any request, whoever it is for. By the last, the client knows how to return the
#: answer.
_COMMON = frozenset(
    "accept accept-encoding connection content-length content-type host transfer-encoding"
    " user-agent x-stainless-raw-response".split()
)
_OF_OPENAI = frozenset({"openai-organization", "openai-project"})


class OtherHost(Exception):
    """The service redirects to another host; the message is that host's address."""


def client_of(options: ServiceOptions) -> OpenAI:
    """Return a client for threads."""
    from openai import DefaultHttpxClient, OpenAI

    guard = _Guard(options)
    http = DefaultHttpxClient(**_transport(options), event_hooks={"request": [guard]})
    return OpenAI(**_arguments(options), http_client=http)


def async_client_of(options: ServiceOptions) -> AsyncOpenAI:
    """Return a client for the running event loop."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    guard = _Guard(options)

    async def aguard(request: Any) -> None:
        guard(request)

    http = DefaultAsyncHttpxClient(**_transport(options), event_hooks={"request": [aguard]})
    return AsyncOpenAI(**_arguments(options), http_client=http)


def _arguments(options: ServiceOptions) -> dict[str, Any]:
    return {
        "api_key": options.api_key or "none",  # the client requires a key; `_Guard` drops it
        "base_url": options.base_url,
        "default_query": {"api-version": options.api_version} if options.api_version else {},
        "timeout": options.timeout,
        # `Service` repeats requests itself, within the time that the caller has.
        "max_retries": 0,
    }


def _transport(options: ServiceOptions) -> dict[str, Any]:
    if proxy := proxy_of(options.base_url):
        return {"proxy": proxy}
    # These keep the client from looking for a proxy by a rule of its own.
    return {"mounts": {"http://": None, "https://": None}}


class _Guard:
    """Has each request leave with this service's headers only, and for this service only."""

    def __init__(self, options: ServiceOptions) -> None:
        self._origin = _origin(options.base_url)
        self._allowed = _COMMON
        if options.is_openai and environment_is_of_openai():
            self._allowed |= _OF_OPENAI
        self._own = {name.lower(): value for name, value in options.headers.items()}
        if options.api_key and options.api_version:
            self._own.setdefault("api-key", options.api_key)
        elif options.api_key:
            self._own.setdefault("authorization", f"Bearer {options.api_key}")

    def __call__(self, request: Any) -> None:
        if _origin(str(request.url)) != self._origin:
            raise OtherHost("{}://{}:{}".format(*_origin(str(request.url))))
        for name in list(request.headers):
            if name.lower() not in self._allowed:
                del request.headers[name]
        request.headers.update(self._own)


def _origin(url: str) -> tuple[str, str | None, int]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80}.get(parts.scheme, 443)
