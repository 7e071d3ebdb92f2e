"""The addresses at which a server speaks HTTP and gRPC, derived from its host."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from wagtail_vector_index.contract import check_host

#: Domains of Weaviate Cloud, where gRPC has a host of its own.
CLOUD = (".weaviate.cloud", ".weaviate.network")

_EXAMPLE = "http://localhost:8080"


@dataclass(frozen=True, kw_only=True)
class Endpoints:
    """The addresses of a server.

    Example::

        >>> Endpoints.of("https://vectors.example.org").grpc_host
        'vectors.example.org'
        >>> Endpoints.of("https://abc.weaviate.cloud").grpc_host
        'grpc-abc.weaviate.cloud'
    """

    http_host: str
    http_port: int
    http_secure: bool
    grpc_host: str
    grpc_port: int
    grpc_secure: bool

    @classmethod
    def of(
        cls,
        host: str,
        *,
        grpc_host: str = "",
        grpc_port: int | None = None,
        grpc_secure: bool | None = None,
    ) -> Endpoints:
        """Return the addresses for a host; derive the address of gRPC unless it is given.

        Raises:
            ValueError: an option is wrong; the message names it.
        """
        parts = _parts(host)
        name, secure = parts.hostname or "", parts.scheme == "https"
        cloud = name.endswith(CLOUD)
        derived = _cloud_grpc(name) if cloud else name
        if grpc_port is None:
            grpc_port = 443 if cloud else 50051
        if not 1 <= grpc_port <= 65_535:
            raise ValueError(f"'GRPC_PORT' must be from 1 to 65535, not {grpc_port}.")
        endpoints = cls(
            http_host=_bracketed(name),
            http_port=parts.port or (443 if secure else 80),
            http_secure=secure,
            grpc_host=_bracketed(_grpc_name(grpc_host) if grpc_host else derived),
            grpc_port=grpc_port,
            grpc_secure=secure if grpc_secure is None else grpc_secure,
        )
        if (endpoints.http_host, endpoints.http_port) == (endpoints.grpc_host, grpc_port):
            raise ValueError(
                f"'HOST' and 'GRPC_PORT' are both {endpoints.grpc}, but gRPC needs another port or"
                " another host. Change 'GRPC_PORT'."
            )
        return endpoints

    @property
    def cloud(self) -> bool:
        """True if this is Weaviate Cloud."""
        return self.http_host.endswith(CLOUD)

    @property
    def http(self) -> str:
        """The base URL of HTTP."""
        scheme = "https" if self.http_secure else "http"
        return f"{scheme}://{self.http_host}:{self.http_port}"

    @property
    def grpc_url(self) -> str:
        """The URL of gRPC, by which its proxy is chosen."""
        return f"{'https' if self.grpc_secure else 'http'}://{self.grpc}"

    @property
    def grpc(self) -> str:
        """The host and port of gRPC."""
        return f"{self.grpc_host}:{self.grpc_port}"


def _parts(host: str) -> SplitResult:
    # An address of Weaviate Cloud needs no "https://".
    name = urlsplit(f"//{host}").hostname or ""
    given = f"https://{host}" if "://" not in host and name.endswith(CLOUD) else host
    parts = check_host(given, _EXAMPLE)
    if parts.path.strip("/"):
        raise ValueError(f"'HOST' must be without a path, such as {_EXAMPLE!r}, not {host!r}.")
    return parts


def _cloud_grpc(name: str) -> str:
    if name.endswith(".weaviate.network"):
        cluster, _, domain = name.partition(".")
        return f"{cluster}.grpc.{domain}"
    return f"grpc-{name}"


def _grpc_name(host: str) -> str:
    """Return the option ``GRPC_HOST`` as `SplitResult.hostname` writes it: without brackets."""
    try:
        parts = check_host(f"http://{_bracketed(host)}", _EXAMPLE)
        is_name = parts.port is None and not any(each in "/?#" for each in host)
    except ValueError:
        is_name = False
    if not is_name:
        raise ValueError(
            "'GRPC_HOST' must be the name or the IP address of a host, such as 'grpc.example.com',"
            " without 'http://', a port or a path. The port goes into 'GRPC_PORT'."
        )
    return parts.hostname or ""


def _bracketed(name: str) -> str:
    try:
        return f"[{name}]" if ip_address(name).version == 6 else name
    except ValueError:
        return name
