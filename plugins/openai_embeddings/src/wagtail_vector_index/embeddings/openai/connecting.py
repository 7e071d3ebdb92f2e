"""Makes the clients. What a client finds in its environment goes to no other service.

OpenAI's client reads headers, an organisation and a project from variables of the environment,
and follows redirects to any host. The list of what it reads grows with its versions. So each
request is looked at just before it leaves: it keeps only headers that are known to be meant for
this service, and does not leave for another host, or without its body.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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

_OTHER_HOST = (
    ", which gets neither texts nor the key. If that is the right service, set HOST to its base URL"
)
_WITHOUT_BODY = (
    ", but with a status that drops the texts. Set HOST to the part of that address before"
    " '/embeddings', '/chat/completions' or '/rerank', or have the service redirect with status 308"
)


class Redirected(Exception):
    """The service redirects a request that must not follow.

    Args:
        where: where to; follows "redirects to".
        advice: why it must not, and what to do; follows `where`.
    """

    def __init__(self, where: str, advice: str) -> None:
        super().__init__(where, advice)
        self.where = where
        self.advice = advice


def client_of(options: ServiceOptions) -> OpenAI:
    """Return a client for threads."""
    from openai import DefaultHttpxClient, OpenAI

    http = DefaultHttpxClient(**_transport(options))
    client = OpenAI(**_arguments(options), http_client=http)
    http.event_hooks = {"request": [_Guard(options, client.base_url)]}
    return client


def async_client_of(options: ServiceOptions) -> AsyncOpenAI:
    """Return a client for the running event loop."""
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    http = DefaultAsyncHttpxClient(**_transport(options))
    client = AsyncOpenAI(**_arguments(options), http_client=http)
    guard = _Guard(options, client.base_url)

    async def aguard(request: Any) -> None:
        guard(request)

    http.event_hooks = {"request": [aguard]}
    return client


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
    """Has each request leave with this service's headers only, and for this service only.

    Args:
        options: the options of the alias.
        base_url: the base URL as the client reads it. Its HTTP library writes a name such as
            ``bücher.example`` in ASCII, in every request.
    """

    def __init__(self, options: ServiceOptions, base_url: Any) -> None:
        self._origin = _origin(base_url)
        self._allowed = _COMMON
        if options.is_openai and environment_is_of_openai():
            self._allowed |= _OF_OPENAI
        self._own = {name.lower(): value for name, value in options.headers.items()}
        if options.api_key and options.api_version:
            self._own.setdefault("api-key", options.api_key)
        elif options.api_key:
            self._own.setdefault("authorization", f"Bearer {options.api_key}")

    def __call__(self, request: Any) -> None:
        if (origin := _origin(request.url)) != self._origin:
            raise Redirected(f"another host, {origin}", _OTHER_HOST)
        # Every request is a POST. After a 301, 302 or 303, the client makes a GET of it.
        if request.method != "POST":
            path = request.url.raw_path.partition(b"?")[0].decode("ascii")
            raise Redirected(f"{origin}{path}", _WITHOUT_BODY)
        for name in list(request.headers):
            if name.lower() not in self._allowed:
                del request.headers[name]
        request.headers.update(self._own)


def _origin(url: Any) -> str:
    """Return the scheme, the host and, if it is not the scheme's own, the port of a URL."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
