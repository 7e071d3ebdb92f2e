"""The proxy that leads to a service, by the environment variables of every common client.

Clients read these variables differently, and gRPC reads other ones than HTTP. So backends ask
here, and tell their client.
"""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from urllib.parse import SplitResult, urlsplit, urlunsplit
from urllib.request import getproxies_environment

from ...exceptions import ConfigurationError

__all__ = ["grpc_proxy_options", "proxy_of", "without_credentials"]

_PORTS = {"http": 80, "https": 443}


def proxy_of(url: str) -> str:
    """Return the URL of the proxy for a URL, or "" if none leads there.

    The variables are ``http_proxy`` or ``https_proxy``, by the scheme of the URL, otherwise
    ``all_proxy``; in lower or upper case. ``no_proxy`` lists the hosts that need no proxy:
    names, which include all names that end with them, addresses, networks such as
    ``10.0.0.0/8``, each with a port if the rule is for that port only; or ``*`` for all hosts.
    This machine itself, such as ``localhost``, never needs one.

    Raises:
        ConfigurationError: the variable holds something other than an address over HTTP.
    """
    return _proxy_and_variable(url)[0]


def grpc_proxy_options(url: str) -> dict[str, str | int]:
    """Return the options that make a gRPC channel take the proxy of `proxy_of`, or none.

    gRPC can use a proxy only over ``http``, and connects directly if it cannot use one. It also
    reads ``no_proxy`` (or ``no_grpc_proxy``, if that is set) by a wider rule of its own: an entry
    covers every host that ends with it, as ``example.com`` covers ``db.myexample.com``. No option
    of a channel changes that, so a channel that would bypass the proxy is an error.

    Args:
        url: the address of gRPC with its port, under ``https`` if the channel has TLS.

    Raises:
        ConfigurationError: the proxy cannot be used, or gRPC would bypass it. The message names
            the variable.

    Example::

        options = grpc_proxy_options("http://vectors.example.org:50051")
        grpc.insecure_channel("vectors.example.org:50051", options=[*options.items()])
    """
    proxy, variable = _proxy_and_variable(url)
    if not proxy:
        return {"grpc.enable_http_proxy": 0}
    parts, target = urlsplit(proxy), urlsplit(url)
    if parts.scheme != "http":
        raise ConfigurationError(
            f"The environment variable {variable} holds a proxy over HTTPS, which gRPC cannot use."
            " Set it to a proxy over HTTP, such as 'http://proxy.example.com:3128'. If gRPC needs"
            f" no proxy, add {target.netloc!r} to no_proxy."
        )
    _check_grpc_takes_proxy(target)
    # Without a port, gRPC would take the one of HTTPS.
    netloc = parts.netloc if parts.port else f"{parts.netloc.removesuffix(':')}:{_PORTS['http']}"
    return {"grpc.http_proxy": f"http://{netloc}"}


def without_credentials(proxy: str) -> str:
    """Return the URL of a proxy without its user and password, to be shown in errors."""
    parts = urlsplit(proxy)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def _proxy_and_variable(url: str) -> tuple[str, str]:
    """Return the proxy for a URL, and the name of the variable that holds it; empty if none."""
    found, parts = getproxies_environment(), urlsplit(url)
    kind = parts.scheme if found.get(parts.scheme) else "all"
    proxy = found.get(kind) or ""
    if not proxy or _is_this_machine(parts.hostname or ""):
        return "", ""
    if any(_covers(rule, parts) for rule in found.get("no", "").split(",")):
        return "", ""
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    variable = f"{kind}_proxy"
    variable = variable if os.environ.get(variable) else variable.upper()
    _check(proxy, variable)
    return proxy, variable


def _check(proxy: str, variable: str) -> None:
    try:
        parts = urlsplit(proxy)
        is_valid = bool(parts.scheme in _PORTS and parts.hostname and parts.port != 0)
    except ValueError:  # the port is no number, or too large
        is_valid = False
    if not is_valid:
        # The value may hold a password.
        raise ConfigurationError(
            f"The environment variable {variable} does not hold the address of an HTTP proxy. Set"
            " it to such as 'http://proxy.example.com:3128'; SOCKS is not supported. If the host"
            " needs no proxy, add it to no_proxy."
        )


def _check_grpc_takes_proxy(target: SplitResult) -> None:
    variable = "no_grpc_proxy" if "no_grpc_proxy" in os.environ else "no_proxy"
    for entry in os.environ.get(variable, "").split(","):
        if entry and _grpc_exempts(target.hostname or "", entry.strip().lower()):
            raise ConfigurationError(
                f"The environment variable {variable} has the entry {entry!r}, for which gRPC would"
                f" connect to {target.hostname} without the proxy: it covers each host that ends"
                f" with an entry. If gRPC needs no proxy, add {target.netloc!r} to no_proxy."
                " Otherwise set no_grpc_proxy to an empty text."
            )


def _grpc_exempts(host: str, entry: str) -> bool:
    """Return whether gRPC applies an entry to a host, which has no other reason to be exempt."""
    address, _, is_network = entry.partition("/")
    # A network with too large a mask, which is none to `_covers`, is its own address to gRPC.
    return host.endswith(entry) or bool(is_network and host == address)


def _is_this_machine(host: str) -> bool:
    host = host.removesuffix(".")
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(rule: str, parts: SplitResult) -> bool:
    """Return whether a rule of ``no_proxy`` covers the host of a URL."""
    rule = rule.strip().lower().removeprefix("http://").removeprefix("https://")
    if rule in ("", "*"):
        return rule == "*"
    name, port = _split_port(rule)
    if port and port != str(parts.port or _PORTS.get(parts.scheme)):
        return False
    host = (parts.hostname or "").removesuffix(".")
    return _is_in_network(host, name) or f".{host}".endswith(f".{name.lstrip('*.')}")


def _split_port(rule: str) -> tuple[str, str]:
    if rule.startswith("["):
        name, _, port = rule[1:].partition("]")
        return name, port.removeprefix(":")
    if rule.count(":") > 1:  # an IPv6 address
        return rule, ""
    name, _, port = rule.partition(":")
    return name, port


def _is_in_network(host: str, network: str) -> bool:
    try:
        return ip_address(host) in ip_network(network, strict=False)
    except ValueError:
        return False
